// SPDX-License-Identifier: MIT
#include "isolation/packed_model.hpp"

#include <fmt/format.h>

#include <cstring>
#include <span>

#include "base/error.hpp"
#include "isolation/shared_memory.hpp"

namespace evictlab::isolation {
namespace {

struct PackedLayer {
    evl_scored_layer layer;      ///< its pointers mean nothing
    std::uint64_t scores, facts; ///< places; 0: null
};

std::size_t score_bytes(const evl_scored_layer& layer) {
    return std::size_t{layer.heads} * layer.tokens * sizeof(double);
}

} // namespace

void pack_model(const evl_model_query& query, std::size_t facts, SharedMemory& input, std::size_t begin) {
    const std::span layers(query.layers, query.layer_count);
    const std::size_t records = begin + sizeof(evl_model_query);
    std::size_t end = records + layers.size() * sizeof(PackedLayer);
    std::vector<PackedLayer> packed;
    for (const evl_scored_layer& layer : layers) {
        packed.push_back({layer, end, layer.facts ? end + score_bytes(layer) : 0});
        end += score_bytes(layer) + (layer.facts ? facts * sizeof(double) : 0);
        if (end > input.size())
            throw Error(fmt::format("a model's scores need more than the {} MiB that a plugin's process can be given",
                                    input.size() >> 20));
    }
    input.reach(end);
    std::memcpy(input.data() + begin, &query, sizeof query);
    std::memcpy(input.data() + records, packed.data(), packed.size() * sizeof packed[0]);
    for (std::size_t i = 0; i < layers.size(); ++i) {
        std::memcpy(input.data() + packed[i].scores, layers[i].scores, score_bytes(layers[i]));
        if (layers[i].facts) std::memcpy(input.data() + packed[i].facts, layers[i].facts, facts * sizeof(double));
    }
}

PackedModel::PackedModel(const std::byte* input, std::size_t begin)
    : query_(*reinterpret_cast<const evl_model_query*>(input + begin)) {
    const auto* const packed = reinterpret_cast<const PackedLayer*>(input + begin + sizeof(evl_model_query));
    const auto at = [&](std::uint64_t place) {
        return place == 0 ? nullptr : reinterpret_cast<const double*>(input + place);
    };
    for (const PackedLayer& each : std::span(packed, query_.layer_count)) {
        layers_.push_back(each.layer);
        layers_.back().scores = at(each.scores);
        layers_.back().facts = at(each.facts);
        heads_ += each.layer.heads;
    }
    query_.layers = layers_.data();
}

} // namespace evictlab::isolation
