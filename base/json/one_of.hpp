// A field of JSON whose text is one of a list. SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "base/json/json_field.hpp"

namespace evictlab {

/// The field's text; Error with the list where it is none of these.
const std::string& one_of(const JsonField& field, std::span<const std::string_view> known);

} // namespace evictlab
