// A genome as people are shown it, and as it leaves. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "evolution/genome.hpp"

namespace evictlab::evolution {

/// Of a formula one with the same scores to the bit, without what never decides (framework/formula/simplified.hpp).
formula::Formula shown_formula(const Genome& genome);
/// Its text, or the scorer's.
std::string shown_text(const Genome& genome);

} // namespace evictlab::evolution
