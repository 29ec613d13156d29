// What was learned once of a model's layers and heads, from texts that nothing is judged by: docs/calibration.md.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace evictlab {

struct Calibration;

/// Of one layer. KV heads and query heads in the model's order.
struct LayerCalibration {
    const Calibration* whole = nullptr;
    std::size_t place = 0;             ///< among the layers held
    std::vector<float> query_axis;     ///< [kv_heads][dim], Q-Filters' directions: against the queries
    std::vector<float> query_mean;     ///< [query_heads][dim], of queries before RoPE
    std::vector<float> query_abs_mean; ///< [query_heads][dim / 2], of their pairs' lengths
};

/// Numbers by layer and head: constants have one row.
struct CalibrationTable {
    std::size_t rows = 0;
    std::vector<float> values; ///< [rows][layers held][kv_heads]
};

/// Immutable once read; safe to share between threads.
struct Calibration {
    std::string file, sha256; ///< hexadecimal
    std::string model, weights;
    std::size_t num_layers = 0, query_heads = 0, kv_heads = 0, dim = 0;
    std::vector<std::uint32_t> layers;                           ///< held, ascending
    std::vector<LayerCalibration> by_layer;                      ///< [held]
    std::map<std::string, CalibrationTable, std::less<>> tables; ///< constants among them
    std::vector<std::string> documents;                          ///< that it was learned from

    Calibration() = default;
    Calibration(const Calibration&) = delete; ///< its layers point to it
    Calibration& operator=(const Calibration&) = delete;

    const LayerCalibration* layer(std::size_t number) const;    ///< null where it is not held
    const CalibrationTable* table(std::string_view name) const; ///< null where there is none
    /// Why it cannot be of this layer ("is of 30 layers, ..."), or "".
    std::string misfit(std::size_t layers_of_model, std::size_t query_heads_given, std::size_t kv_heads_given,
                       std::size_t dim_given) const;
    std::string layers_text() const; ///< "0, 7, 14"
};

/// What to do about a calibration that is not there or does not do.
inline constexpr const char* how_to_calibrate =
    "`evictlab-calibrate SUITE --install SUITE` makes one, from train documents that hold the layer; or name another";

} // namespace evictlab
