// Columns: the per-token statistics that a scorer may ask for. An open registry named by strings; a column is one file
// sources/NAME.cpp that defines `ColumnInfo columns::describe_NAME()` and is found by the build.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/layer/layer.hpp"
#include "framework/suite/trace.hpp"

namespace evictlab {

/// One row of one head of one layer, as columns see it: everything up to and including query's own attention.
struct RowContext {
    std::size_t layer = 0;
    std::size_t num_layers = 0;
    std::size_t query = 0;                ///< its position; query + 1 tokens were seen
    std::size_t tokens = 0;               ///< cached, the query's own last: query + 1 unless some were evicted for good
    std::size_t sliding_window = 0;       ///< keys that a query sees, its own included; 0: all before it
    const double* attention = nullptr;    ///< [tokens], padded: of the KV head, the mean over its query heads
    const double* position = nullptr;     ///< [tokens], padded
    const double* relative_pos = nullptr; ///< [tokens], padded: query - position
    const double* key_norm = nullptr;     ///< [tokens], padded
    const double* token_type = nullptr;   ///< [tokens], padded
    /// Where ColumnNeeds asks for them, else null or what `attention` is:
    const double* layer_attention = nullptr; ///< [tokens], padded: the mean over all query heads of the layer
    std::size_t group = 1;
    const double* query_attention = nullptr; ///< [group][query_stride]: of each query head
    std::size_t query_stride = 0;
    const HeadTensors* tensors = nullptr;
};

/// The running values of one column for one head of one layer. Made for a number of tokens, fed rows in order (judged
/// or not; from ColumnInfo::history before the last one on). Not thread-safe.
class ColumnState {
public:
    virtual ~ColumnState() = default;
    virtual void update(const RowContext& row) = 0;
    /// Values after the last row, [tokens] and readable to padded(); one value where the column is uniform.
    virtual const double* values() = 0;
    /// Forgets all cached tokens but those in `slots`, ascending indices into values(), which then begin at 0.
    virtual void keep([[maybe_unused]] std::span<const std::uint32_t> slots) {}
    virtual std::unique_ptr<ColumnState> clone() const = 0;
};

enum class ColumnKind : std::uint8_t {
    token, ///< a value a token that changes from row to row
    row,   ///< one value for all tokens of a row (sequence_len)
    layer, ///< one value for all rows of a layer (layer_ratio)
};

/// What a column is computed from. A source that lacks it cannot give the column.
enum class ColumnNeeds : std::uint8_t {
    rows,           ///< attention rows of the KV head: every suite and protocol
    layer_rows,     ///< and RowContext::layer_attention
    query_rows,     ///< and RowContext::query_attention
    tensors,        ///< RowContext::tensors: captured suites, but for protocol rescore
    wov_norm,       ///< and HeadTensors::wov_norm: where the trace has it or the suite the output projections
    calibration,    ///< tensors, and HeadTensors::calibration: where the suite has one of all its layers
    wo_gram,        ///< and HeadTensors::wo_gram: where the suite has the output projections
    reconstruction, ///< tensors, and HeadTensors::reconstruction: protocol prefill, of suites with a second pass
};

/// Which of a layer's queries a column's values after a row follow from.
enum class ColumnQueries : std::uint8_t {
    history, ///< those whose rows it looks at: ColumnInfo::history
    none,    ///< none: keys, values and positions say it all
    all,     ///< all so far, by RowContext::tensors
};

/// As many queries as there were.
inline constexpr std::size_t all_history = static_cast<std::size_t>(-1);

struct ColumnInfo {
    std::string name; ///< without parameters: `recent_attn`, `window_attn`
    std::string help; ///< one line: what it is, its unit and range, its parameters
    ColumnKind kind = ColumnKind::token;
    /// `arguments` is what follows the first ':' of the full name ("" where nothing does); `tokens` the most that will
    /// be cached. Throws UsageError. Null for a derived column.
    std::unique_ptr<ColumnState> (*make)(std::string_view arguments, std::size_t tokens) = nullptr;
    ColumnNeeds needs = ColumnNeeds::rows;
    /// How many of the latest queries it looks at; all where null.
    std::size_t (*history)(std::string_view arguments) = nullptr;
    ColumnQueries queries = ColumnQueries::history;
    /// A derived column is computed from another one, whose full name is `arguments`, over all heads of a layer at
    /// once: `base` and `out` are [heads][tokens] with these strides.
    void (*derive)(const double* base, std::size_t base_stride, std::size_t heads, std::size_t tokens, double* out,
                   std::size_t out_stride) = nullptr;
    /// Of one that needs a calibration: what of it that one lacks, or "". Null: none lacks anything.
    std::string (*absent)(std::string_view arguments, const Calibration& calibration) = nullptr;
    bool across_heads = false; ///< of a derived column: it joins what heads have at the same token
    /// In place of `needs` where that depends on the arguments, which are known to be good.
    ColumnNeeds (*needs_with)(std::string_view arguments) = nullptr;
};

/// A full column name, parameters included, as a number that formulas can carry. Equal names, equal ids, for as long as
/// they are held. Numbers differ from process to process: nothing that a run decides or saves may follow from them.
using ColumnId = std::uint32_t;

/// The process-wide registry, which holds as many names as memory does. All calls are thread-safe.
namespace columns {
const std::vector<ColumnInfo>& all(); ///< sorted by name
/// The id of a full name, from now on until the process ends, or UsageError that lists the known names.
ColumnId intern(std::string_view full_name);
std::size_t held_names(); ///< how many names have an id now
bool known(std::string_view full_name);
const std::string& name(ColumnId id);
ColumnKind kind(ColumnId id);
ColumnNeeds needs(ColumnId id);            ///< of a derived column: its base's
std::size_t history(ColumnId id);          ///< likewise
std::size_t queries(ColumnId id);          ///< the latest queries that it follows from, 0 for none; likewise
std::optional<ColumnId> base(ColumnId id); ///< of a derived column
std::string absent(ColumnId id, const Calibration& calibration); ///< what the calibration lacks for it, or ""
const ColumnInfo& info(ColumnId id);
std::unique_ptr<ColumnState> make(ColumnId id, std::size_t tokens);
std::string known_names(); ///< "a, b, c", for messages
/// The columns of the seed's benchmark, which every suite and protocol gives.
const std::vector<ColumnId>& of_the_seed();
} // namespace columns

/// Columns that are wanted for a while, as by one set of a plugin's parameters: their ids hold as long as the list or a
/// copy of it lives, and go to other names afterwards. So a search may try more names than memory could hold.
class ColumnList {
public:
    void add(std::string_view full_name);                 ///< throws as columns::intern()
    void add_foreign(ColumnId id) { ids_.push_back(id); } ///< of no column in the registry: base_score_id
    std::span<const ColumnId> ids() const { return ids_; }
    auto begin() const { return ids_.begin(); }
    auto end() const { return ids_.end(); }
    std::size_t size() const { return ids_.size(); }

private:
    std::vector<ColumnId> ids_;
    std::vector<std::shared_ptr<const void>> holds_;
};

} // namespace evictlab
