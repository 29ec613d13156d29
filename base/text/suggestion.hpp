// The end of a message about an unknown name: what there is, and which of it was probably meant.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace evictlab::text {

/// The nearest of the names, where it is near enough to have been meant; else null.
const std::string* probably_meant(std::string_view typed, std::span<const std::string> names);

/// "; did you mean 'h2o'? There are: h2o, knorm", without the question where nothing is close, or "; there is no
/// preset" where there is nothing at all (`kind`: what the names are, in the singular).
std::string what_there_is(std::string_view typed, std::span<const std::string> names, std::string_view kind);

} // namespace evictlab::text
