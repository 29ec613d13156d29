// Formula twins: the built-in scorers as formulas that give the same scores.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab {

/// The formula of a built-in scorer with its defaults (`hybrid_start`) or a preset (`h2o@seed`); nothing where it has
/// none. `random` has one for `random@seed` only.
std::optional<std::string> formula_twin(std::string_view scorer);

/// The names for which there is one.
std::vector<std::string> scorers_with_twins();

} // namespace evictlab
