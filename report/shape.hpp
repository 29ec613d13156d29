// How a result's rows were cut, where that is not the usual way: in JSON, in a sentence, as options of a command.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

/// Checks everything; fields of no shape are refused, but for those of write_cut().
Shape read_shape(const JsonField& field);

/// Adds "shape" and "keep", where they are not the usual ones; "shape" also says which layers were joined.
void write_cut(const BenchCut& cut, Json& json);
/// Of what has so many retentions.
BenchCut read_cut(const JsonField& top, std::size_t retentions);

/// "Shape: one set for all layers and heads, scores joined by mean (3 of the model's 30 layers, which the traces hold).
/// Kept tokens: 512 (0.50 of a prompt, on the mean). Schedule of cuts: slack:128." "" for the usual cut.
std::string cut_text(const BenchCut& cut, std::span<const double> retentions);
/// " --granularity model --keep 512 --schedule slack:128"; "" for the usual one.
std::string cut_options(const BenchCut& cut);

} // namespace evictlab::report
