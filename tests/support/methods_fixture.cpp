// SPDX-License-Identifier: MIT
#include "tests/support/methods_fixture.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace evictlab::test {

namespace {

const std::string folder = EVICTLAB_TEST_DATA "/methods/", later = EVICTLAB_TEST_DATA "/methods-2/";

std::string content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string calibrated_file(std::size_t layer) {
    return later + (layer < 10 ? "calibrated0" : "calibrated") + std::to_string(layer) + ".safetensors";
}

/// The table of the fixture, of which kvpress's run was given the very numbers.
CalibrationTable lukv_table(std::size_t layers, std::size_t heads) {
    CalibrationTable table{99, {}};
    for (std::size_t row = 0; row < table.rows; ++row)
        for (std::size_t layer = 0; layer < layers; ++layer)
            for (std::size_t head = 0; head < heads; ++head) {
                const double of_head =
                    0.7 + 0.02 * static_cast<double>(layer) + 0.01 * static_cast<double>((7 * layer + 3 * head) % 11);
                table.values.push_back(static_cast<float>(std::min(1.0, static_cast<double>(row + 1) / 100 * of_head)));
            }
    return table;
}

void read_calibrated_layer(Calibration& made, std::size_t index) {
    const auto tensors = read_safetensors(calibrated_file(index));
    LayerCalibration& layer = made.by_layer[index];
    layer.query_axis = tensors.at("q_filter").values;
    layer.query_mean = tensors.at("tri.q_mean").values;
    layer.query_abs_mean = tensors.at("tri.q_abs_mean").values;
}

MethodsLayer read_layer(std::size_t index) {
    const std::string file = std::string(index < 10 ? "layer0" : "layer") + std::to_string(index) + ".safetensors";
    auto tensors = read_safetensors(folder + file);
    tensors.merge(read_safetensors(later + file));
    tensors.merge(read_safetensors(calibrated_file(index)));
    MethodsLayer layer;
    layer.layer = index;
    layer.rope_theta = methods_kept().at("rope_theta");
    layer.query_heads = tensors.at("q").shape[0];
    layer.kv_heads = tensors.at("k").shape[0];
    layer.tokens = tensors.at("q").shape[1];
    layer.dim = tensors.at("q").shape[2];
    layer.q = tensors.at("q").values;
    layer.q_pre_rope = tensors.at("q_pre_rope").values;
    layer.k = tensors.at("k").values;
    layer.v = tensors.at("v").values;
    layer.wov_l1 = tensors.at("wov_l1").values;
    layer.o_proj = tensors["o_proj"].values;
    layer.calibration = methods_calibration().layer(index);
    for (auto& [name, tensor] : tensors)
        if (name.starts_with("score.")) layer.scores[name.substr(6)] = std::move(tensor.values);
    if (auto at = tensors.find("rkv.similarity"); at != tensors.end()) layer.scores[at->first] = at->second.values;
    return layer;
}

std::vector<float> repeated(const std::vector<float>& heads, std::size_t size, std::size_t times) {
    std::vector<float> all;
    for (auto head = heads.begin(); head != heads.end(); head += static_cast<std::ptrdiff_t>(size))
        for (std::size_t i = 0; i < times; ++i) all.insert(all.end(), head, head + static_cast<std::ptrdiff_t>(size));
    return all;
}

} // namespace

std::map<std::string, Tensor> read_safetensors(const std::string& file) {
    const std::string bytes = content_of(file);
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    const auto header = nlohmann::json::parse(bytes.substr(8, header_size));
    std::map<std::string, Tensor> tensors;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") continue;
        if (entry.at("dtype") != "F32") throw std::runtime_error(file + ": " + name + " is not F32");
        const std::size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
        Tensor& tensor = tensors[name];
        tensor.shape = entry.at("shape").get<std::vector<std::size_t>>();
        tensor.values.resize((end - begin) / sizeof(float));
        std::memcpy(tensor.values.data(), bytes.data() + 8 + header_size + begin, end - begin);
    }
    return tensors;
}

const MethodsLayer& methods_layer(std::size_t layer) {
    static std::map<std::size_t, MethodsLayer> layers;
    const auto at = layers.find(layer);
    return at != layers.end() ? at->second : layers.emplace(layer, read_layer(layer)).first->second;
}

const MethodsLayer& methods_layer_by_query_head(std::size_t layer) {
    static std::map<std::size_t, MethodsLayer> layers;
    if (const auto at = layers.find(layer); at != layers.end()) return at->second;
    MethodsLayer copy = methods_layer(layer);
    copy.k = repeated(copy.k, copy.tokens * copy.dim, copy.group());
    copy.v = repeated(copy.v, copy.tokens * copy.dim, copy.group());
    copy.kv_heads = copy.query_heads;
    return layers.emplace(layer, std::move(copy)).first->second;
}

const nlohmann::json& methods_kept() {
    static const auto kept = nlohmann::json::parse(content_of(folder + "kept.json"));
    return kept;
}

const nlohmann::json& calibrated_methods_kept() {
    static const auto kept = nlohmann::json::parse(content_of(later + "calibrated.json"));
    return kept;
}

const Calibration& methods_calibration() {
    static Calibration made;
    if (!made.layers.empty()) return made;
    made.file = "the fixture";
    made.num_layers = 30, made.query_heads = 9, made.kv_heads = 3, made.dim = 64;
    made.by_layer.resize(made.num_layers);
    for (std::size_t layer = 0; layer < made.num_layers; ++layer) {
        made.layers.push_back(static_cast<std::uint32_t>(layer));
        made.by_layer[layer].whole = &made;
        made.by_layer[layer].place = layer;
    }
    for (const std::size_t layer : {0, 14, 29}) read_calibrated_layer(made, layer);
    made.tables["lukv"] = lukv_table(made.num_layers, made.kv_heads);
    CalibrationTable& duo = made.tables["duo_attention"] = {1, {}};
    for (const auto& layer : calibrated_methods_kept().at("duo_attention").at("head_scores"))
        for (const float score : layer) duo.values.push_back(score);
    return made;
}

const nlohmann::json& later_methods_kept() {
    static const auto kept = nlohmann::json::parse(content_of(later + "kept.json"));
    return kept;
}

const nlohmann::json& threshold_runs() {
    static const auto runs = nlohmann::json::parse(content_of(later + "dms.json"));
    return runs;
}

const nlohmann::json& openvino_fixture() {
    static const auto fixture = nlohmann::json::parse(content_of(later + "openvino.json"));
    return fixture;
}

} // namespace evictlab::test
