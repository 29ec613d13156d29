// SPDX-License-Identifier: MIT
#include "tests/support/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace reference {
namespace {

std::uint32_t rotate_left(std::uint32_t x, int n) { return x << n | x >> (32 - n); }

void quarter(std::uint32_t* x, int a, int b, int c, int d) {
    x[a] += x[b];
    x[d] = rotate_left(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate_left(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate_left(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate_left(x[b] ^ x[c], 7);
}

std::vector<double> softmax(const std::vector<double>& raw) {
    const double top = *std::max_element(raw.begin(), raw.end());
    std::vector<double> out;
    double total = 0;
    for (const double r : raw) {
        out.push_back(std::exp(r - top));
        total += out.back();
    }
    for (double& x : out) x /= total;
    return out;
}

constexpr double keep = std::numeric_limits<double>::infinity();

double start(const Token& t, double recent, double cumulative, double power, double bonus) {
    if (t.is_sink != 0) return keep;
    if (t.relative_pos < 4) return 1e6 - t.relative_pos;
    return recent * t.recent_attn +
           cumulative * t.cumulative_attn * std::pow((t.position + 1) / t.sequence_len, power) +
           bonus * std::max(0.0, 1 - t.relative_pos / 128);
}

double evolved(const Token& t) {
    const double r = t.layer_ratio;
    const double base = start(t, 0.7 - 0.2 * r, 0.3 + 0.2 * r, 0.25 + 0.1 * r, 0.15 + 0.1 * r);
    return t.is_sink != 0 || t.relative_pos < 4 ? base : base - 0.1 * std::min(t.key_norm, 2.0);
}

} // namespace

Generator::Generator(std::uint64_t seed) {
    std::uint64_t s = seed;
    for (auto& word : key_) {
        s = s * 6364136223846793005ULL + 11634580027462260723ULL;
        const auto x = static_cast<std::uint32_t>(((s >> 18) ^ s) >> 27);
        const auto turn = static_cast<int>(s >> 59);
        word = turn == 0 ? x : (x >> turn | x << (32 - turn));
    }
}

std::uint32_t Generator::u32() {
    if (used_ == words_.size()) {
        std::uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
        for (int i = 0; i < 8; ++i) start[4 + i] = key_[i];
        start[12] = static_cast<std::uint32_t>(block_);
        start[13] = static_cast<std::uint32_t>(block_ >> 32);
        ++block_;
        std::uint32_t x[16];
        std::copy(start, start + 16, x);
        for (int i = 0; i < 6; ++i) {
            quarter(x, 0, 4, 8, 12);
            quarter(x, 1, 5, 9, 13);
            quarter(x, 2, 6, 10, 14);
            quarter(x, 3, 7, 11, 15);
            quarter(x, 0, 5, 10, 15);
            quarter(x, 1, 6, 11, 12);
            quarter(x, 2, 7, 8, 13);
            quarter(x, 3, 4, 9, 14);
        }
        words_.clear();
        for (int i = 0; i < 16; ++i) words_.push_back(x[i] + start[i]);
        used_ = 0;
    }
    return words_[used_++];
}

std::uint64_t Generator::u64() {
    const std::uint64_t low = u32();
    return low | static_cast<std::uint64_t>(u32()) << 32;
}

double Generator::uniform() { return static_cast<double>(u64() >> 11) * std::pow(2.0, -53); }

std::uint32_t Generator::below(std::uint32_t n) {
    int leading = 0;
    while ((n << leading & 0x80000000U) == 0) ++leading;
    const std::uint32_t zone = (n << leading) - 1;
    for (;;) {
        const std::uint64_t p = static_cast<std::uint64_t>(u32()) * n;
        if (static_cast<std::uint32_t>(p) <= zone) return static_cast<std::uint32_t>(p >> 32);
    }
}

void Generator::shuffle(std::vector<std::size_t>& a) {
    for (std::size_t i = a.size() - 1; i >= 1; --i) std::swap(a[i], a[below(static_cast<std::uint32_t>(i + 1))]);
}

Pattern micro_pattern(std::uint64_t seed, std::size_t seq_len, std::size_t num_layers) {
    Generator g(seed);
    Pattern p{seq_len, num_layers, {}, {}, {}, {}};
    for (std::size_t l = 0; l < num_layers; ++l) {
        const double focus = 1 + 2 * static_cast<double>(l) / static_cast<double>(num_layers);
        auto& rows = p.attention.emplace_back();
        for (std::size_t query = 0; query < seq_len; ++query) {
            std::vector<double> raw;
            for (std::size_t key = 0; key <= query; ++key) {
                const auto d = static_cast<double>(query - key);
                double w = 1;
                if (key < 4) w += 0.15 * static_cast<double>(4 - key);
                if (d < 32) w += 0.4 * (1 - d / 32);
                w *= 0.8 + 0.4 * g.uniform();
                raw.push_back(std::pow(w, focus));
            }
            rows.push_back(softmax(raw));
        }
        auto& norms = p.key_norm.emplace_back();
        for (std::size_t i = 0; i < seq_len; ++i)
            norms.push_back(g.uniform() < 0.05 ? 2 + 2 * g.uniform() : 0.9 + 0.2 * g.uniform());
    }
    for (std::size_t i = 0; i < seq_len; ++i) p.token_type.push_back(g.uniform() < 0.85 ? 0 : 1);
    return p;
}

Pattern full_pattern(std::uint64_t seed, std::size_t seq_len, std::size_t num_layers, double sink, double local) {
    Generator g(seed);
    Pattern p{seq_len, num_layers, {}, {}, {}, {}};
    std::vector<std::size_t> positions(seq_len - 4);
    std::iota(positions.begin(), positions.end(), std::size_t{4});
    g.shuffle(positions);
    const auto count = static_cast<std::size_t>(std::floor(0.1 * static_cast<double>(seq_len)));
    p.dense.assign(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count));
    std::sort(p.dense.begin(), p.dense.end());
    const auto is_dense = [&p](std::size_t k) { return std::binary_search(p.dense.begin(), p.dense.end(), k); };
    for (std::size_t l = 0; l < num_layers; ++l) {
        const double focus = 1 + 2 * static_cast<double>(l) / static_cast<double>(num_layers);
        auto& rows = p.attention.emplace_back();
        for (std::size_t query = 0; query < seq_len; ++query) {
            std::vector<double> raw;
            for (std::size_t key = 0; key <= query; ++key) {
                const auto d = static_cast<double>(query - key);
                double w = 1;
                if (key < 4) w += sink * static_cast<double>(4 - key);
                if (d < 64) w += local * (1 - d / 64);
                if (is_dense(key)) w *= 3;
                w *= 1 / (1 + 0.001 * d);
                w = std::pow(w, focus);
                raw.push_back(w * (0.8 + 0.4 * g.uniform()));
            }
            rows.push_back(softmax(raw));
        }
        auto& norms = p.key_norm.emplace_back();
        for (std::size_t i = 0; i < seq_len; ++i) {
            double norm = 1;
            if (i < 4) norm *= 0.7;
            if (is_dense(i)) norm *= 0.8;
            if (g.uniform() < 0.05) norm *= 2 + 2 * g.uniform();
            norms.push_back(norm * (0.9 + 0.2 * g.uniform()));
        }
    }
    for (std::size_t i = 0; i < seq_len; ++i) {
        const double u = g.uniform();
        p.token_type.push_back(u < 0.85 ? 0 : u < 0.95 ? 1 : 2);
    }
    return p;
}

double Token::value(const std::string& column) const {
    const std::map<std::string, double Token::*> fields{
        {"position", &Token::position},         {"relative_pos", &Token::relative_pos},
        {"sequence_len", &Token::sequence_len}, {"cumulative_attn", &Token::cumulative_attn},
        {"recent_attn", &Token::recent_attn},   {"attn_entropy", &Token::attn_entropy},
        {"key_norm", &Token::key_norm},         {"token_type", &Token::token_type},
        {"layer_idx", &Token::layer_idx},       {"num_layers", &Token::num_layers},
        {"layer_ratio", &Token::layer_ratio},   {"is_sink", &Token::is_sink}};
    return this->*fields.at(column);
}

const std::map<std::string, Rule>& rules() {
    static const std::map<std::string, Rule> all{
        {"streaming_llm",
         [](const Token& t) { return t.is_sink != 0        ? keep
                                     : t.relative_pos < 64 ? 1e6 - t.relative_pos
                                                           : -keep; }},
        {"h2o", [](const Token& t) { return t.relative_pos < 32 ? keep : t.cumulative_attn; }},
        {"snapkv_lite", [](const Token& t) { return t.relative_pos < 32 ? keep : t.recent_attn; }},
        {"knorm_press", [](const Token& t) { return -t.key_norm; }},
        {"pyramid_kv_seed",
         [](const Token& t) {
             if (t.is_sink != 0) return keep;
             if (t.relative_pos < 48 * (2 - t.layer_ratio)) return 1e6 - t.relative_pos;
             return t.cumulative_attn * (1 - t.layer_ratio / 2);
         }},
        {"tova_seed",
         [](const Token& t) {
             return (t.is_sink != 0 ? 10 : 0) + t.cumulative_attn * (1 + std::exp(-0.01 * t.relative_pos));
         }},
        {"position_corrected_h2o",
         [](const Token& t) {
             return t.relative_pos < 32 || t.is_sink != 0 ? keep : t.cumulative_attn * std::pow(t.position + 1, 0.3);
         }},
        {"random",
         [](const Token& t) {
             if (t.is_sink != 0) return keep;
             if (t.relative_pos < 4) return 1e6 - t.relative_pos;
             const std::uint64_t mixed = 42 * 6364136223846793005ULL + static_cast<std::uint64_t>(t.position);
             return static_cast<double>(mixed >> 33) / 2147483648.0;
         }},
        {"hybrid_baseline",
         [](const Token& t) {
             if (t.is_sink != 0) return keep;
             return 0.4 * (0.3 * t.cumulative_attn + 0.7 * t.recent_attn) +
                    0.3 * std::max(0.0, 1 - t.relative_pos / 64) - 0.1 * t.key_norm;
         }},
        {"start_formula", [](const Token& t) { return start(t, 0.6, 0.4, 0.3, 0.2); }},
        {"evolved", evolved},
        {"oracle", nullptr}};
    return all;
}

double error(const Pattern& p, const Rule& rule, double retention) {
    double errors = 0;
    std::size_t count = 0;
    for (std::size_t l = 0; l < p.num_layers; ++l)
        for (std::size_t q = p.seq_len / 4; q < p.seq_len; ++q) {
            const auto& row = p.attention[l][q];
            std::vector<double> scores;
            for (std::size_t k = 0; k <= q; ++k) {
                if (!rule) {
                    scores.push_back(row[k]);
                    continue;
                }
                Token t{};
                t.position = static_cast<double>(k);
                t.relative_pos = static_cast<double>(q - k);
                t.sequence_len = static_cast<double>(q + 1);
                for (std::size_t j = k; j <= q; ++j) {
                    const double a = p.attention[l][j][k];
                    t.cumulative_attn += a;
                    if (a > 1e-10) t.attn_entropy -= a * std::log(a);
                    if (j >= q - std::min<std::size_t>(32, q)) t.recent_attn += a;
                }
                t.key_norm = p.key_norm[l][k];
                t.token_type = p.token_type[k];
                t.layer_idx = static_cast<double>(l);
                t.num_layers = static_cast<double>(p.num_layers);
                t.layer_ratio = t.layer_idx / t.num_layers;
                t.is_sink = k < 4 ? 1 : 0;
                scores.push_back(rule(t));
            }
            std::vector<std::size_t> order(q + 1);
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::stable_sort(order.begin(), order.end(),
                             [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
            const auto keep_count = static_cast<std::size_t>(std::ceil(static_cast<double>(q + 1) * retention));
            double all = 0, kept = 0;
            for (const double a : row) all += a;
            for (std::size_t i = 0; i < keep_count; ++i) kept += row[order[i]];
            errors += (all - kept) / all;
            ++count;
        }
    return errors / static_cast<double>(count);
}

} // namespace reference
