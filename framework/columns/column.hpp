// Columns: the per-token statistics that a scorer may ask for. An open registry named by strings; a column is one file
// sources/NAME.cpp that defines `ColumnInfo columns::describe_NAME()` and is found by the build.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/suite/trace.hpp"

namespace evictlab {

/// One row of one head of one layer, as columns see it: everything up to and including query's own attention.
struct RowContext {
    std::size_t layer = 0;
    std::size_t num_layers = 0;
    std::size_t query = 0;              ///< n = query + 1 tokens are cached
    const double* attention = nullptr;  ///< [n], padded
    const double* key_norm = nullptr;   ///< [seq_len], padded
    const double* token_type = nullptr; ///< [seq_len], padded
};

/// The running values of one column for one head of one layer. Made for a sequence length, fed every row in order
/// (judged or not). Not thread-safe.
class ColumnState {
public:
    virtual ~ColumnState() = default;
    virtual void update(const RowContext& row) = 0;
    /// Values of the last row, [query + 1] and readable to padded(); one value where the column is uniform.
    virtual const double* values() const = 0;
};

enum class ColumnKind : std::uint8_t {
    token, ///< a value a token that changes from row to row
    row,   ///< one value for all tokens of a row (sequence_len)
    layer, ///< one value for all rows of a layer (layer_ratio)
};

struct ColumnInfo {
    std::string name; ///< without parameters: `recent_attn`, `window_attn`
    std::string help; ///< one line: what it is, its unit and range
    ColumnKind kind = ColumnKind::token;
    /// `arguments` is what follows the first ':' of the full name ("" where nothing does). Throws UsageError.
    std::unique_ptr<ColumnState> (*make)(std::string_view arguments, std::size_t seq_len) = nullptr;
};

/// A full column name, parameters included, as a small number that formulas can carry. Equal names, equal ids.
using ColumnId = std::uint16_t;

/// The process-wide registry. All calls are thread-safe.
namespace columns {
const std::vector<ColumnInfo>& all(); ///< sorted by name
/// The id of a full name, or UsageError that lists the known names.
ColumnId intern(std::string_view full_name);
bool known(std::string_view full_name);
const std::string& name(ColumnId id);
ColumnKind kind(ColumnId id);
std::unique_ptr<ColumnState> make(ColumnId id, std::size_t seq_len);
std::string known_names(); ///< "a, b, c", for messages
} // namespace columns

} // namespace evictlab
