// SPDX-License-Identifier: MIT
#include "tests/support/methods_fixture.hpp"

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

MethodsLayer read_layer(std::size_t index) {
    const std::string file = std::string(index < 10 ? "layer0" : "layer") + std::to_string(index) + ".safetensors";
    auto tensors = read_safetensors(folder + file);
    tensors.merge(read_safetensors(later + file));
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

const nlohmann::json& later_methods_kept() {
    static const auto kept = nlohmann::json::parse(content_of(later + "kept.json"));
    return kept;
}

} // namespace evictlab::test
