// A trace: the attention of one sequence, read a row at a time so that memory stays O(n) a layer in flight.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/numeric/aligned.hpp"

namespace evictlab {

/// The rows of one layer, in order. Not thread-safe: one reader belongs to one task.
class LayerReader {
public:
    virtual ~LayerReader() = default;
    /// L2 norms of the keys, [heads][seq_len] with head_stride() between heads.
    virtual const double* key_norm() const = 0;
    /// Attention of the next query (0 at the first call) over keys 0..query, [heads][query + 1] with head_stride()
    /// between heads. Valid until the next call.
    virtual const double* next_row() = 0;
    virtual std::size_t head_stride() const = 0;
    /// Keys that a query of the layer sees, its own included; 0: all before it.
    virtual std::size_t sliding_window() const { return 0; }
};

class CapturedTrace;

/// Immutable once made; safe to share between threads.
class Trace {
public:
    virtual ~Trace() = default;
    virtual const std::string& name() const = 0;
    virtual std::size_t seq_len() const = 0;
    virtual std::size_t num_layers() const = 0; ///< of the model
    /// The layers, by the model's numbers and ascending, whose rows the trace can give: all of a synthetic one.
    virtual std::vector<std::size_t> held_layers() const {
        std::vector<std::size_t> layers(num_layers());
        std::iota(layers.begin(), layers.end(), std::size_t{0});
        return layers;
    }
    virtual std::size_t heads() const = 0;
    /// Token types as columns want them, [seq_len].
    virtual const double* token_type() const = 0;
    /// `layer` is one of held_layers().
    virtual std::unique_ptr<LayerReader> open_layer(std::size_t layer) const = 0;
    /// This trace as one captured from a model, with queries, keys and values; null for others.
    virtual const CapturedTrace* captured() const { return nullptr; }
};

using TracePtr = std::shared_ptr<const Trace>;

/// What a search may see. There is no way from here to the test split.
struct SearchTraces {
    std::span<const TracePtr> train;
    std::span<const TracePtr> valid;
};

} // namespace evictlab
