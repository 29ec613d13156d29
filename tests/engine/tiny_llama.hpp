// A small model with random weights: as a GGUF file for llama.cpp, and as a slow, obvious computation to hold it to.
// SPDX-License-Identifier: MIT
#pragma once
#include <llama.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace evictlab::test {

struct TinyShape {
    std::size_t layers = 3, heads = 4, kv_heads = 2, dim = 32;
    std::uint32_t seed = 1;
    std::size_t window = 0; ///< not 0: a Gemma 3, of which layers 0, 2, 4, ... see so many keys, themselves included
    bool slides(std::size_t layer) const { return window > 0 && layer % 2 == 0; }
};

/// What is cached of the prompt, for queries behind it: [layer][KV head] -> positions.
using KeptPositions = std::vector<std::vector<std::vector<std::uint32_t>>>;

/// Tokens are a text's bytes, behind <s>; a space has a token of its own.
class TinyLlama {
public:
    explicit TinyLlama(const TinyShape& shape = {});

    struct File {
        bool half_split = false;                  ///< an architecture whose RoPE turns pairs (t, t + dim / 2): qwen2
        ggml_type projections = GGML_TYPE_F32;    ///< of the output projections
        std::map<std::string, std::string> texts; ///< further fields: "rope.scaling.type"
        std::map<std::string, float> numbers;
        bool rope_factors = false;
    };
    void write(const std::filesystem::path& file, const File& how) const;
    void write(const std::filesystem::path& file) const { write(file, File()); }

    /// Of each layer, as attention has them, pairs half-split: q [heads][n][dim], k and v [kv_heads][n][dim].
    struct Layer {
        std::vector<float> q, k, v;
    };
    struct Run {
        std::vector<std::vector<double>> logits; ///< [n][vocabulary]
        std::vector<Layer> layers;
    };
    /// Queries from position `prompt` on see of the tokens before it only the kept ones, but where layers slide.
    Run run(const std::vector<llama_token>& tokens, std::size_t prompt, const KeptPositions& kept,
            double rope_factor = 1) const;
    Run run(const std::vector<llama_token>& tokens) const { return run(tokens, tokens.size(), {}); }

    const TinyShape& shape() const { return shape_; }
    std::size_t hidden() const { return shape_.heads * shape_.dim; }
    const std::vector<float>& output_projection(std::size_t layer) const { return blocks_[layer].at("attn_output"); }
    std::vector<float> rope_inv_freq(double factor = 1) const;

    static constexpr std::size_t vocabulary = 3 + 256 + 1;
    static constexpr float rope_base = 10000;
    static std::vector<llama_token> tokens(const std::string& text);

private:
    TinyShape shape_;
    std::vector<float> embedding_, output_;
    std::vector<std::map<std::string, std::vector<float>>> blocks_; ///< [out][in]; q and k of half-split RoPE
};

/// A text of so many tokens, <s> included.
std::string text_of(std::size_t tokens);

} // namespace evictlab::test
