// A shape as results, states and requests to judges have it. SPDX-License-Identifier: MIT
#pragma once
#include "base/json/json_field.hpp"
#include "framework/cut/shape.hpp"

namespace evictlab {

/// {"granularity", "join", "block", "sinks", "recent"}, and "block_score" where that is not the mean.
Json to_json(const Shape& shape);
/// Checks all of these; what is left out is usual.
Shape shape_from_json(const JsonField& field);

} // namespace evictlab
