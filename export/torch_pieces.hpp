// The PyTorch text of exported presses: export/torch/ and what the tools' press shares with it, built into the program.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/columns/column.hpp"

namespace evictlab::exporting {

/// By path under export/torch: `press.py`, `columns/key_norm.py`, `parts/divide.py`; and `prompt/layer.py`.
const std::map<std::string_view, std::string_view>& torch_files();

/// Why a column has no PyTorch form; "" where it has one.
std::string torch_refusal(ColumnId column);

/// `column_window_attn(layer, 64, pool=5, avg=True)` for window_attn:64:pool=5:avg: numbers come first, `key=value` is
/// by name, a word is a flag.
std::string torch_call(ColumnId column);

/// What asks a model's attention, the same in every press.
std::vector<std::string_view> torch_prompt();

/// The functions of export/torch that `text` mentions and those that these mention, each before what uses it.
std::vector<std::string_view> torch_functions(std::string_view text);

} // namespace evictlab::exporting
