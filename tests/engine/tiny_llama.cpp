// SPDX-License-Identifier: MIT
#include "tests/engine/tiny_llama.hpp"

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <stdexcept>

namespace evictlab::test {
namespace {

using Floats = std::vector<float>;

Floats random_matrix(std::mt19937& random, std::size_t out, std::size_t in, double gain) {
    Floats matrix(out * in);
    const double most = gain * std::sqrt(3.0 / static_cast<double>(in));
    for (float& value : matrix)
        value = static_cast<float>(most * (2.0 * static_cast<double>(random()) / 4294967295.0 - 1.0));
    return matrix;
}

Floats times(const Floats& matrix, const Floats& vector) {
    Floats out(matrix.size() / vector.size());
    for (std::size_t r = 0; r < out.size(); ++r) {
        double sum = 0;
        for (std::size_t c = 0; c < vector.size(); ++c)
            sum += static_cast<double>(matrix[r * vector.size() + c]) * static_cast<double>(vector[c]);
        out[r] = static_cast<float>(sum);
    }
    return out;
}

constexpr double epsilon = 1e-5;

Floats normalised(const Floats& vector) {
    double squares = 0;
    for (const float value : vector) squares += static_cast<double>(value) * static_cast<double>(value);
    const double factor = 1.0 / std::sqrt(squares / static_cast<double>(vector.size()) + epsilon);
    Floats out(vector);
    for (float& value : out) value = static_cast<float>(static_cast<double>(value) * factor);
    return out;
}

/// Each head by itself.
Floats normalised_heads(const Floats& vector, std::size_t dim) {
    Floats out;
    for (auto at = vector.begin(); at != vector.end(); at += static_cast<std::ptrdiff_t>(dim)) {
        const Floats head = normalised(Floats(at, at + static_cast<std::ptrdiff_t>(dim)));
        out.insert(out.end(), head.begin(), head.end());
    }
    return out;
}

float silu(float x) { return x / (1.0F + std::exp(-x)); }
float gelu(float x) { return 0.5F * x * (1.0F + std::tanh(0.7978845608F * x * (1.0F + 0.044715F * x * x))); }

void add(Floats& to, const Floats& what) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += what[i];
}

void turn(float* vector, std::size_t dim, const Floats& inv_freq, std::size_t position) {
    for (std::size_t t = 0; t < dim / 2; ++t) {
        const double angle = static_cast<double>(position) * static_cast<double>(inv_freq[t]);
        const double a = static_cast<double>(vector[t]), b = static_cast<double>(vector[t + dim / 2]);
        vector[t] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
        vector[t + dim / 2] = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
    }
}

/// Rows of each head from half-split order to interleaved.
Floats interleaved(const Floats& matrix, std::size_t in, std::size_t dim) {
    Floats out(matrix.size());
    const std::size_t rows = matrix.size() / in;
    for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t head = r / dim, x = r % dim, to = x < dim / 2 ? 2 * x : 2 * (x - dim / 2) + 1;
        std::copy_n(matrix.data() + r * in, in, out.data() + (head * dim + to) * in);
    }
    return out;
}

} // namespace

TinyLlama::TinyLlama(const TinyShape& shape) : shape_(shape) {
    std::mt19937 random(shape.seed);
    const std::size_t wide = hidden(), kv = shape.kv_heads * shape.dim, inner = 2 * wide;
    embedding_ = random_matrix(random, vocabulary, wide, std::sqrt(static_cast<double>(wide)));
    output_ = random_matrix(random, vocabulary, wide, 1.5);
    for (std::size_t l = 0; l < shape.layers; ++l)
        blocks_.push_back({{"attn_q", random_matrix(random, wide, wide, 1.8)},
                           {"attn_k", random_matrix(random, kv, wide, 1.8)},
                           {"attn_v", random_matrix(random, kv, wide, 1)},
                           {"attn_output", random_matrix(random, wide, wide, 1.5)},
                           {"ffn_gate", random_matrix(random, inner, wide, 1)},
                           {"ffn_up", random_matrix(random, inner, wide, 1)},
                           {"ffn_down", random_matrix(random, wide, inner, 1)}});
}

std::vector<float> TinyLlama::rope_inv_freq(double factor) const {
    Floats out;
    for (std::size_t t = 0; t < shape_.dim / 2; ++t)
        out.push_back(
            static_cast<float>(factor * std::pow(static_cast<double>(rope_base),
                                                 -2.0 * static_cast<double>(t) / static_cast<double>(shape_.dim))));
    return out;
}

TinyLlama::Run TinyLlama::run(const std::vector<llama_token>& tokens, std::size_t prompt, const KeptPositions& kept,
                              double rope_factor) const {
    const std::size_t n = tokens.size(), wide = hidden(), dim = shape_.dim, group = shape_.heads / shape_.kv_heads;
    const Floats inv_freq = rope_inv_freq(rope_factor);
    std::vector<Floats> stream(n);
    for (std::size_t i = 0; i < n; ++i) {
        const float* row = embedding_.data() + static_cast<std::size_t>(tokens[i]) * wide;
        stream[i].assign(row, row + wide);
        if (shape_.window > 0)
            for (float& value : stream[i]) value *= std::sqrt(static_cast<float>(wide));
    }
    Run run;
    for (std::size_t l = 0; l < shape_.layers; ++l) {
        const auto& block = blocks_[l];
        Layer layer{Floats(shape_.heads * n * dim), Floats(shape_.kv_heads * n * dim),
                    Floats(shape_.kv_heads * n * dim)};
        for (std::size_t i = 0; i < n; ++i) {
            const Floats normal = normalised(stream[i]);
            Floats q = times(block.at("attn_q"), normal), k = times(block.at("attn_k"), normal);
            const Floats v = times(block.at("attn_v"), normal);
            if (shape_.window > 0) {
                q = normalised_heads(q, dim);
                k = normalised_heads(k, dim);
            }
            const auto put = [&](const Floats& from, Floats& to, bool turned) {
                for (std::size_t h = 0; h < from.size() / dim; ++h) {
                    float* at = to.data() + (h * n + i) * dim;
                    std::copy_n(from.data() + h * dim, dim, at);
                    if (turned) turn(at, dim, inv_freq, i);
                }
            };
            put(q, layer.q, true);
            put(k, layer.k, true);
            put(v, layer.v, false);
        }
        for (std::size_t i = 0; i < n; ++i) {
            Floats heads(wide);
            for (std::size_t h = 0; h < shape_.heads; ++h) {
                std::vector<std::size_t> seen;
                const bool evicted = i >= prompt && !shape_.slides(l);
                if (evicted)
                    for (const std::uint32_t j : kept[l][h / group]) seen.push_back(j);
                for (std::size_t j = evicted ? prompt : 0; j <= i; ++j)
                    if (!shape_.slides(l) || i - j < shape_.window) seen.push_back(j);
                std::vector<double> weight;
                double sum = 0;
                for (const std::size_t j : seen) {
                    double product = 0;
                    for (std::size_t x = 0; x < dim; ++x)
                        product += static_cast<double>(layer.q[(h * n + i) * dim + x]) *
                                   static_cast<double>(layer.k[(h / group * n + j) * dim + x]);
                    weight.push_back(std::exp(product / std::sqrt(static_cast<double>(dim))));
                    sum += weight.back();
                }
                for (std::size_t s = 0; s < seen.size(); ++s)
                    for (std::size_t x = 0; x < dim; ++x)
                        heads[h * dim + x] += static_cast<float>(
                            weight[s] / sum * static_cast<double>(layer.v[(h / group * n + seen[s]) * dim + x]));
            }
            const bool gemma = shape_.window > 0;
            const Floats attended = times(block.at("attn_output"), heads);
            add(stream[i], gemma ? normalised(attended) : attended);
            const Floats normal = normalised(stream[i]);
            Floats gate = times(block.at("ffn_gate"), normal);
            const Floats up = times(block.at("ffn_up"), normal);
            for (std::size_t x = 0; x < gate.size(); ++x) gate[x] = (gemma ? gelu(gate[x]) : silu(gate[x])) * up[x];
            const Floats down = times(block.at("ffn_down"), gate);
            add(stream[i], gemma ? normalised(down) : down);
        }
        run.layers.push_back(std::move(layer));
    }
    for (const Floats& last : stream) {
        const Floats logits = times(output_, normalised(last));
        run.logits.emplace_back(logits.begin(), logits.end());
    }
    return run;
}

void TinyLlama::write(const std::filesystem::path& file, const File& how) const {
    const bool gemma = shape_.window > 0, half_split = how.half_split || gemma;
    const std::string arch = gemma ? "gemma3" : how.half_split ? "qwen2" : "llama";
    const std::size_t wide = hidden(), inner = 2 * wide;
    const std::unique_ptr<gguf_context, void (*)(gguf_context*)> gguf(gguf_init_empty(), gguf_free);
    const std::unique_ptr<ggml_context, void (*)(ggml_context*)> memory(ggml_init({64 << 20, nullptr, false}),
                                                                        ggml_free);
    const auto number = [&](const char* key, std::size_t value) {
        gguf_set_val_u32(gguf.get(), (arch + "." + key).c_str(), static_cast<std::uint32_t>(value));
    };
    gguf_set_val_str(gguf.get(), "general.architecture", arch.c_str());
    number("context_length", 4096);
    number("embedding_length", wide);
    number("block_count", shape_.layers);
    number("feed_forward_length", inner);
    number("attention.head_count", shape_.heads);
    number("attention.head_count_kv", shape_.kv_heads);
    number("rope.dimension_count", shape_.dim);
    if (gemma) {
        number("attention.sliding_window", shape_.window);
        number("attention.sliding_window_pattern", 2);
        number("attention.key_length", shape_.dim);
        number("attention.value_length", shape_.dim);
    }
    gguf_set_val_f32(gguf.get(), (arch + ".attention.layer_norm_rms_epsilon").c_str(), static_cast<float>(epsilon));
    gguf_set_val_f32(gguf.get(), (arch + ".rope.freq_base").c_str(), rope_base);
    for (const auto& [key, value] : how.texts) gguf_set_val_str(gguf.get(), (arch + "." + key).c_str(), value.c_str());
    for (const auto& [key, value] : how.numbers) gguf_set_val_f32(gguf.get(), (arch + "." + key).c_str(), value);

    std::vector<std::string> words{"<unk>", "<s>", "</s>"};
    std::vector<std::int32_t> kinds{2, 3, 3}; // unknown, control
    for (int byte = 0; byte < 256; ++byte) {
        char word[8];
        std::snprintf(word, sizeof word, "<0x%02X>", byte);
        words.emplace_back(word);
        kinds.push_back(6); // a byte
    }
    words.emplace_back("\xe2\x96\x81"); // a space, as SentencePiece writes it
    kinds.push_back(1);
    std::vector<const char*> pointers;
    for (const std::string& word : words) pointers.push_back(word.c_str());
    const std::vector<float> scores(words.size());
    gguf_set_val_str(gguf.get(), "tokenizer.ggml.model", "llama");
    gguf_set_arr_str(gguf.get(), "tokenizer.ggml.tokens", pointers.data(), pointers.size());
    gguf_set_arr_data(gguf.get(), "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
    gguf_set_arr_data(gguf.get(), "tokenizer.ggml.token_type", GGUF_TYPE_INT32, kinds.data(), kinds.size());
    gguf_set_val_bool(gguf.get(), "tokenizer.ggml.add_bos_token", true);
    gguf_set_val_bool(gguf.get(), "tokenizer.ggml.add_space_prefix", false);

    const auto tensor = [&](const std::string& name, const Floats& values, std::size_t in,
                            ggml_type type = GGML_TYPE_F32) {
        const auto rows = static_cast<std::int64_t>(values.size() / in), columns = static_cast<std::int64_t>(in);
        ggml_tensor* made = rows == 1 ? ggml_new_tensor_1d(memory.get(), type, columns)
                                      : ggml_new_tensor_2d(memory.get(), type, columns, rows);
        ggml_set_name(made, name.c_str());
        ggml_quantize_chunk(type, values.data(), made->data, 0, rows, columns, nullptr);
        gguf_add_tensor(gguf.get(), made);
    };
    const Floats ones(wide, 1.0F);
    tensor("token_embd.weight", embedding_, wide);
    tensor("output_norm.weight", ones, wide);
    tensor("output.weight", output_, wide);
    if (how.rope_factors) tensor("rope_freqs.weight", Floats(shape_.dim / 2, 2.0F), shape_.dim / 2);
    for (std::size_t l = 0; l < shape_.layers; ++l) {
        const std::string block = "blk." + std::to_string(l) + ".";
        for (const char* norm : {"attn_norm", "ffn_norm"}) tensor(block + norm + ".weight", ones, wide);
        if (gemma) {
            for (const char* norm : {"post_attention_norm", "post_ffw_norm"})
                tensor(block + norm + ".weight", ones, wide);
            for (const char* norm : {"attn_q_norm", "attn_k_norm"})
                tensor(block + norm + ".weight", Floats(shape_.dim, 1.0F), shape_.dim);
        }
        for (const auto& [name, values] : blocks_[l]) {
            const bool turned = name == "attn_q" || name == "attn_k";
            tensor(block + name + ".weight", turned && !half_split ? interleaved(values, wide, shape_.dim) : values,
                   name == "ffn_down" ? inner : wide, name == "attn_output" ? how.projections : GGML_TYPE_F32);
        }
    }
    if (!gguf_write_to_file(gguf.get(), file.c_str(), false)) throw std::runtime_error("cannot write " + file.string());
}

std::vector<llama_token> TinyLlama::tokens(const std::string& text) {
    std::vector<llama_token> out{1};
    for (const char byte : text) out.push_back(byte == ' ' ? 3 + 256 : 3 + static_cast<unsigned char>(byte));
    return out;
}

std::string text_of(std::size_t tokens) {
    static const std::string words =
        "It was 7 o'clock, and the 3 of them had walked 12 miles; nobody spoke. Then it rained. ";
    std::string text;
    for (std::size_t i = 0; text.size() + 1 < tokens; ++i)
        text += words[i % words.size() == 0 ? (i / words.size()) % 7 : i % words.size()];
    return text;
}

} // namespace evictlab::test
