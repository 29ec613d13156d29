// SPDX-License-Identifier: MIT
#include "evolution/external/program_texts.hpp"

#include <tbb/concurrent_hash_map.h>

#include "base/error.hpp"

namespace evictlab::evolution {
namespace {

using Texts = tbb::concurrent_hash_map<const formula::Program*, std::string>;

Texts& texts() {
    static Texts& all = *new Texts; // outlives every genome
    return all;
}

} // namespace

std::string text_of(const formula::Program& program) {
    Texts::const_accessor found;
    if (!texts().find(found, &program)) throw Error("only formulas of genomes can be measured by other processes");
    return found->second;
}

void remember_text(const formula::Program& program, const std::string& text) { texts().insert({&program, text}); }

void forget_text(const formula::Program& program) { texts().erase(&program); }

} // namespace evictlab::evolution
