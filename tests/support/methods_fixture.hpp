// The fixtures of the published methods (tests/data/methods, tests/data/methods-2): tensors of three layers of a real
// model, and what NVIDIA's kvpress and the authors' own programs made of them. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/layer/calibration.hpp"

namespace evictlab::test {

struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

/// All tensors of a safetensors file, which holds float32 only.
std::map<std::string, Tensor> read_safetensors(const std::string& file);

struct MethodsLayer {
    std::size_t layer = 0, num_layers = 30;
    std::size_t query_heads = 0, kv_heads = 0, tokens = 0, dim = 0;
    std::vector<float> q, q_pre_rope, k, v, wov_l1; ///< [heads][tokens][dim]; wov_l1 [query_heads][tokens]
    std::vector<float> o_proj;                      ///< [hidden][query_heads * dim], of layer 14
    double rope_theta = 0;
    const LayerCalibration* calibration = nullptr;    ///< of methods_calibration()
    std::map<std::string, std::vector<float>> scores; ///< by press, or press and budget: [kv_heads][tokens], or less

    std::size_t group() const { return query_heads / kv_heads; }
    const float* q_at(std::size_t head, std::size_t i) const { return q.data() + (head * tokens + i) * dim; }
    const float* k_at(std::size_t head, std::size_t j) const { return k.data() + (head * tokens + j) * dim; }
    const float* v_at(std::size_t head, std::size_t j) const { return v.data() + (head * tokens + j) * dim; }
};

/// Layer 0, 14 or 29.
const MethodsLayer& methods_layer(std::size_t layer);
/// The same layer with keys and values repeated, so that each query head has its own.
const MethodsLayer& methods_layer_by_query_head(std::size_t layer);
/// methods/kept.json; methods-2/kept.json, of methods that were added later.
const nlohmann::json& methods_kept();
const nlohmann::json& later_methods_kept();
/// methods-2/calibrated.json, of methods that read a calibration.
const nlohmann::json& calibrated_methods_kept();
/// What those read: of all 30 layers DuoAttention's scores and LU-KV's table; directions and means of the three.
const Calibration& methods_calibration();
/// Of kvpress's DMSPress: {"run": {"threshold", "window", "kept": {"layer": [head][position]}}}.
const nlohmann::json& threshold_runs();
/// Of OpenVINO GenAI: {"runs": {"setting": {"params", "one_shot", "decode_layer14", "scores"}}, "unit_tests"}.
const nlohmann::json& openvino_fixture();

} // namespace evictlab::test
