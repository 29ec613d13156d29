// The forms in which a formula leaves: its own file, a C++ plugin, a press of kvpress, PyTorch for our own tools.
// docs/export.md tells users what agrees to the bit and what to rounding. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "export/champion.hpp"
#include "framework/cut/shape.hpp"

namespace evictlab::exporting {

/// A .formula file: the provenance as comments, and the formula.
std::string formula_file(const Champion& champion, std::string_view version);

/// The source of a plugin with the id champion.name, for write_plugin_project(). Arithmetic, sqrt and comparisons give
/// the formula's bits; exp, log, tanh and other powers are the C library's, which differ in the last place.
std::string cpp_plugin(const Champion& champion, std::string_view version);

/// The grain at which a press evicts; as it is made, each KV head keeps its own share of the tokens, one by one.
struct PressCut {
    Shape shape;
    std::optional<std::size_t> keep; ///< tokens that each set keeps, in place of a share
};
/// A Python file that needs PyTorch, transformers and kvpress 0.5.5 alone. Throws UsageError that names a column which
/// has no PyTorch form, and why.
std::string kvpress_press(const Champion& champion, std::string_view version, const PressCut& cut = {});
/// Of the class in it: `MineH2oPress` for mine_h2o.
std::string press_class(std::string_view name);

/// A Python module that evictlab-tools runs: scores(layer) of the formula, and COLUMNS by name, on the layer's device.
/// Throws as kvpress_press().
std::string torch_scores(const Champion& champion, std::string_view version);

/// Under which licence a file may be used, as an SPDX line: the formula's, and Evictlab's where it holds more than
/// that.
std::string licence_line(const Champion& champion, bool formula_alone, std::string_view sign);

/// Lines that each begin with `sign` ("# "): what this is, the provenance and the formula. Nothing in them ends the
/// comment.
std::string provenance_comment(const Champion& champion, std::string_view version, std::string_view sign);

} // namespace evictlab::exporting
