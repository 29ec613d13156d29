// SPDX-License-Identifier: MIT
#include "evolution/shown.hpp"

#include "framework/formula/simplified.hpp"

namespace evictlab::evolution {

formula::Formula shown_formula(const Genome& genome) { return formula::simplified(genome.formula()); }

std::string shown_text(const Genome& genome) {
    return genome.parameters() ? genome.text() : print(shown_formula(genome));
}

} // namespace evictlab::evolution
