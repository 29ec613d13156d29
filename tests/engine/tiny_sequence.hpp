// A tiny model in llama.cpp, for a test. SPDX-License-Identifier: MIT
#pragma once
#include <memory>

#include "engine/eviction.hpp"
#include "framework/cut/top_k.hpp"
#include "tests/engine/tiny_llama.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

struct OpenTiny {
    TemporaryFolder folder;
    TinyLlama tiny;
    std::unique_ptr<engine::Model> model;

    explicit OpenTiny(const TinyShape& shape = {}, const TinyLlama::File& how = {}) : tiny(shape) {
        tiny.write(folder / "tiny.gguf", how);
        model = std::make_unique<engine::Model>(folder / "tiny.gguf");
    }
    engine::Sequence sequence(std::uint32_t cells = 512, ggml_type type = GGML_TYPE_F16) const {
        return {*model, {cells, 1, type}};
    }
};

/// Every head's own cells: so many of n, drawn from a seed.
inline engine::KeptCells drawn_cells(const TinyShape& shape, std::size_t n, std::size_t count, std::uint32_t seed) {
    engine::KeptCells kept(shape.layers, std::vector<std::vector<std::uint32_t>>(shape.kv_heads));
    for (auto& layer : kept)
        for (auto& head : layer) {
            std::vector<double> scores(n);
            for (double& score : scores) score = static_cast<double>((seed = seed * 1664525U + 1013904223U) >> 8);
            head = top_k(scores, count);
        }
    return kept;
}

} // namespace evictlab::test
