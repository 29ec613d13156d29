// SPDX-License-Identifier: MIT
#include "report/shown_formula.hpp"

#include "evolution/shown.hpp"
#include "framework/formula/simplified.hpp"

namespace evictlab::report {

void add_shown(nlohmann::ordered_json& json, const std::string& formula) {
    try {
        const formula::Formula whole = formula::parse(formula), shorter = formula::simplified(whole);
        if (shorter.size() < whole.size()) json["shown"] = formula::print(shorter);
    } catch (const UsageError&) {
        return;
    }
}

void add_shown(nlohmann::ordered_json& json, const evolution::Genome& genome) {
    if (std::string shown = shown_text(genome); shown != genome.text()) json["shown"] = std::move(shown);
}

} // namespace evictlab::report
