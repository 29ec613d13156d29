// Fuzz target: the text of a formula. SPDX-License-Identifier: MIT
#include "framework/formula/formula.hpp"
#include "framework/formula/program.hpp"
#include "tests/fuzz/target.hpp"

using namespace evictlab;
using formula::Formula;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    Formula parsed;
    try {
        parsed = formula::parse(text);
    } catch (const formula::ParseError& error) {
        fuzz::check_message(error);
        fuzz::require(error.offset <= size, "an error lies within the text");
        return 0;
    }
    fuzz::require(formula::parse(formula::print(parsed)) == parsed, "what is printed is read as the same formula");
    fuzz::require(!formula::explain(parsed).empty(), "a formula can be explained");
    const Formula canonical = formula::canonical(parsed);
    fuzz::require(formula::canonical(canonical) == canonical, "the canonical form is its own");
    fuzz::require(formula::canonical_hash(parsed) == formula::canonical_hash(canonical),
                  "equal formulas, equal hashes");
    fuzz::require(formula::Program(parsed).columns().size() == parsed.columns().size(), "a formula can be compiled");
    return 0;
}
