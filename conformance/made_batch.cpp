// SPDX-License-Identifier: MIT
#include "conformance/made_batch.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace evictlab::conformance {
namespace {

using Random = std::mt19937_64;
using PlaceValue = double (*)(const Shape&, double);

/// In [0, 1), the same everywhere.
double uniform(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

/// Columns that follow from a token's place alone.
const std::map<std::string_view, PlaceValue>& columns_of_places() {
    static const std::map<std::string_view, PlaceValue> all{
        {"position", [](const Shape&, double i) { return i; }},
        {"relative_pos", [](const Shape& s, double i) { return s.tokens - 1 - i; }},
        {"relative_age", [](const Shape& s, double i) { return (s.tokens - 1 - i) / s.tokens; }},
        {"is_sink", [](const Shape&, double i) { return i < 4 ? 1.0 : 0.0; }},
        {"sequence_len", [](const Shape& s, double) { return static_cast<double>(s.tokens); }},
        {"layer_idx", [](const Shape& s, double) { return static_cast<double>(s.layer); }},
        {"num_layers", [](const Shape& s, double) { return static_cast<double>(s.num_layers); }},
        {"layer_ratio", [](const Shape& s, double) { return static_cast<double>(s.layer) / s.num_layers; }}};
    return all;
}

std::string_view without_arguments(std::string_view name) { return name.substr(0, name.find(':')); }

PlaceValue value_of_place(std::string_view name) {
    const auto at = columns_of_places().find(name);
    return at == columns_of_places().end() ? nullptr : at->second;
}

double measured_value(std::string_view column, Filling filling, Random& random) {
    if (column == "token_type") return filling == Filling::ordinary ? static_cast<double>(random() % 4) : 0;
    switch (filling) {
    case Filling::equal:
        return 0.25;
    case Filling::zero:
        return 0;
    case Filling::denormal:
        return 1e-310 * uniform(random);
    case Filling::ordinary:
        break;
    }
    const double value = uniform(random);
    if (column == "key_cos") return 2 * value - 1;
    if (column.ends_with("_norm")) return 0.5 + 20 * value;
    return value * value * value; // as attention: much small, little large
}

std::vector<float> numbers(std::size_t count, Filling filling, Random& random) {
    std::vector<float> out(count);
    for (float& value : out) {
        const auto spread = static_cast<float>(2 * uniform(random) - 1);
        value = filling == Filling::ordinary ? spread
                : filling == Filling::equal  ? 0.5F
                : filling == Filling::zero   ? 0.0F
                                             : spread * 1e-40F;
    }
    return out;
}

/// Rows that sum to 1 over what each query may see.
std::vector<float> attention_of_window(std::size_t heads, std::size_t queries, std::size_t n, Filling filling,
                                       Random& random) {
    std::vector<float> out(heads * queries * n);
    for (std::size_t row = 0; row < heads * queries; ++row) {
        const std::size_t visible = n - queries + row % queries + 1;
        const std::span<float> values(out.data() + row * n, visible);
        double sum = 0;
        for (float& value : values) {
            value = filling == Filling::ordinary ? static_cast<float>(std::pow(uniform(random), 3)) + 1e-6F : 1.0F;
            sum += value;
        }
        for (float& value : values) value = static_cast<float>(value / sum);
    }
    return out;
}

} // namespace

MadeBatch::MadeBatch(const Plugin& rule, std::span<const double> values, const Shape& shape, Filling filling,
                     Layout layout) {
    for (const ColumnId id : rule.columns(values))
        names_.push_back(id == base_score_id ? std::string(base_score_column) : columns::name(id));
    make_columns(shape, filling, layout);
    batch_ = {sizeof(evl_batch),
              shape.layer,
              shape.num_layers,
              shape.heads,
              shape.tokens,
              shape.tokens,
              pointers_.data(),
              strides_.data(),
              0,
              0,
              nullptr,
              0,
              nullptr};
    make_tables(rule, shape);
    if (rule.budgeted() || rule.budgets_heads()) {
        batch_.removed_fraction = 0.5;
        batch_.kept = std::max(1U, shape.tokens / 2);
    }
    if (!rule.wants_tensors()) return;
    make_tensors(rule, shape, filling);
    batch_.tensors = &tensors_;
}

/// Shares that rise from row to row, as a table by percentages has them; the same for every name.
void MadeBatch::make_tables(const Plugin& rule, const Shape& shape) {
    constexpr std::size_t rows = 99;
    if (rule.tables().empty()) return;
    for (std::uint32_t layer = 0; layer < shape.num_layers; ++layer) layer_numbers_.push_back(layer);
    for (std::size_t i = 0; i < rows * shape.num_layers * shape.heads; ++i)
        table_values_.push_back(static_cast<float>(i) / static_cast<float>(rows * shape.num_layers * shape.heads));
    tables_.assign(rule.tables().size(), {sizeof(evl_table), rows, shape.num_layers, shape.heads, layer_numbers_.data(),
                                          table_values_.data()});
    for (const evl_table& table : tables_) table_pointers_.push_back(&table);
    batch_.table_count = tables_.size();
    batch_.tables = table_pointers_.data();
}

bool MadeBatch::measured(std::size_t index) const { return !value_of_place(names_[index]); }

void MadeBatch::make_columns(const Shape& shape, Filling filling, Layout layout) {
    const std::size_t n = shape.tokens;
    for (const std::string& name : names_) {
        Random random(columns_.size() + 1);
        const PlaceValue of_place = value_of_place(name);
        const bool once = of_place && layout == Layout::shared;
        const std::size_t stride = layout == Layout::shared ? n + 5 : n;
        std::vector<double> values(once ? n : (shape.heads - 1) * stride + n);
        for (std::size_t h = 0; h < (once ? 1 : shape.heads); ++h)
            for (std::size_t i = 0; i < n; ++i)
                values[h * stride + i] = of_place ? of_place(shape, static_cast<double>(i))
                                                  : measured_value(without_arguments(name), filling, random);
        columns_.push_back(std::move(values));
        strides_.push_back(once ? 0 : static_cast<std::ptrdiff_t>(stride));
    }
    for (const auto& values : columns_) pointers_.push_back(values.data());
    point_spare_at(nullptr);
}

void MadeBatch::point_spare_at(const double* values) {
    constexpr std::size_t spare = 16;
    pointers_.resize(columns_.size());
    pointers_.resize(columns_.size() + spare, values);
    strides_.resize(columns_.size() + spare, 0);
    batch_.columns = pointers_.data();
    batch_.head_stride = strides_.data();
}

void MadeBatch::make_tensors(const Plugin& rule, const Shape& shape, Filling filling) {
    constexpr std::uint32_t group = 2, dim = 16;
    const std::size_t n = shape.tokens, query_heads = std::size_t{group} * shape.heads;
    Random random(1);
    q_ = numbers(query_heads * n * dim, filling, random);
    k_ = numbers(shape.heads * n * dim, filling, random);
    v_ = numbers(shape.heads * n * dim, filling, random);
    wov_norm_ = numbers(query_heads * n, filling, random);
    for (float& norm : wov_norm_) norm = std::abs(norm);
    for (std::uint32_t i = 0; i < dim / 2; ++i)
        frequencies_.push_back(static_cast<float>(std::pow(10000.0, -2.0 * i / dim)));
    const std::size_t queries = std::min<std::size_t>(rule.tensor_window(), n);
    window_attn_ = attention_of_window(query_heads, queries, n, filling, random);
    const auto stride = static_cast<std::ptrdiff_t>(n * dim);
    tensors_ = {sizeof(evl_tensors),
                static_cast<std::uint32_t>(query_heads),
                shape.heads,
                shape.tokens,
                dim,
                q_.data(),
                k_.data(),
                v_.data(),
                stride,
                stride,
                stride,
                0.25,
                0,
                frequencies_.data(),
                1,
                wov_norm_.data(),
                static_cast<std::ptrdiff_t>(n),
                queries,
                queries > 0 ? window_attn_.data() : nullptr};
}

bool MadeBatch::operator==(const MadeBatch& other) const {
    return columns_ == other.columns_ && pointers_.size() == other.pointers_.size() && strides_ == other.strides_ &&
           q_ == other.q_ && k_ == other.k_ && v_ == other.v_ && wov_norm_ == other.wov_norm_ &&
           window_attn_ == other.window_attn_ && layer_numbers_ == other.layer_numbers_ &&
           table_values_ == other.table_values_;
}

} // namespace evictlab::conformance
