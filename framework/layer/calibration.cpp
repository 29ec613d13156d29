// SPDX-License-Identifier: MIT
#include "framework/layer/calibration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace evictlab {

const LayerCalibration* Calibration::layer(std::size_t number) const {
    const auto at = std::ranges::lower_bound(layers, number);
    return at == layers.end() || *at != number ? nullptr : &by_layer[static_cast<std::size_t>(at - layers.begin())];
}

const CalibrationTable* Calibration::table(std::string_view name) const {
    const auto at = tables.find(name);
    return at == tables.end() ? nullptr : &at->second;
}

std::string Calibration::misfit(std::size_t layers_of_model, std::size_t query_heads_given, std::size_t kv_heads_given,
                                std::size_t dim_given) const {
    if (num_layers == layers_of_model && query_heads == query_heads_given && kv_heads == kv_heads_given &&
        dim == dim_given)
        return "";
    return fmt::format("is of {} layers with {} query heads, {} KV heads and a head_dim of {}, but here are {} layers "
                       "with {} query heads, {} KV heads and a head_dim of {}",
                       num_layers, query_heads, kv_heads, dim, layers_of_model, query_heads_given, kv_heads_given,
                       dim_given);
}

std::string Calibration::layers_text() const { return fmt::format("{}", fmt::join(layers, ", ")); }

} // namespace evictlab
