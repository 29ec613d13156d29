// Batches for a rule, made up.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/plugin/plugin.hpp"

namespace evictlab::conformance {

/// What the columns hold that are measured, and the tensors. Columns of places (position, layer_idx, ...) are what they
/// are in any batch.
enum class Filling : std::uint8_t { ordinary, equal, zero, denormal };

struct Shape {
    std::uint32_t heads = 2, tokens = 96, layer = 1, num_layers = 4;
};

/// How the columns lie in memory; a plugin must take both. `shared`: columns that are equal for all heads lie there
/// once (a stride of 0), and there are gaps between the heads of the others.
enum class Layout : std::uint8_t { compact, shared };

class MadeBatch {
public:
    MadeBatch(const Plugin& rule, std::span<const double> values, const Shape& shape,
              Filling filling = Filling::ordinary, Layout layout = Layout::compact);
    MadeBatch(const MadeBatch&) = delete;
    MadeBatch& operator=(const MadeBatch&) = delete;

    const evl_batch& batch() const { return batch_; }
    evl_batch& batch() { return batch_; }
    std::size_t columns() const { return columns_.size(); }
    std::span<double> column(std::size_t index) { return columns_[index]; } ///< all heads, with gaps
    const std::string& column_name(std::size_t index) const { return names_[index]; }
    bool measured(std::size_t index) const; ///< as against one of places
    /// What a plugin finds behind the columns that it declared.
    void point_spare_at(const double* values);
    /// All that the plugin is to read only.
    bool operator==(const MadeBatch& other) const;

private:
    void make_columns(const Shape& shape, Filling filling, Layout layout);
    void make_tensors(const Plugin& rule, const Shape& shape, Filling filling);
    void make_tables(const Plugin& rule, const Shape& shape);

    std::vector<std::string> names_;
    std::vector<std::vector<double>> columns_;
    std::vector<const double*> pointers_;
    std::vector<std::ptrdiff_t> strides_;
    std::vector<float> q_, k_, v_, wov_norm_, window_attn_, frequencies_;
    evl_tensors tensors_{};
    std::vector<std::uint32_t> layer_numbers_;
    std::vector<float> table_values_; ///< of all tables
    std::vector<evl_table> tables_;
    std::vector<const evl_table*> table_pointers_;
    evl_batch batch_{};
};

} // namespace evictlab::conformance
