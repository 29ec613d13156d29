// The scored layers of a model as bytes, for a plugin that divides a budget among them: records, then the scores and
// facts of each layer. Places are bytes from the beginning of the input, as in packed_batch.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <cstddef>
#include <vector>

namespace evictlab::isolation {

class SharedMemory;

/// Writes them behind `begin`. Throws Error where the memory ends.
void pack_model(const evl_model_query& query, std::size_t facts, SharedMemory& input, std::size_t begin);

/// What pack_model() wrote, read where it lies, in memory that must outlive it. query() holds as long as this.
class PackedModel {
public:
    PackedModel(const std::byte* input, std::size_t begin);
    PackedModel(const PackedModel&) = delete;
    PackedModel& operator=(const PackedModel&) = delete;
    const evl_model_query& query() const { return query_; }
    std::size_t heads() const { return heads_; } ///< of all layers

private:
    std::vector<evl_scored_layer> layers_;
    evl_model_query query_;
    std::size_t heads_ = 0;
};

} // namespace evictlab::isolation
