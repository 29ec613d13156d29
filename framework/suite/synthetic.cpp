// SPDX-License-Identifier: MIT
#include "framework/suite/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "framework/suite/chacha12.hpp"
#include "framework/suite/row_kernels.hpp"

namespace evictlab {
namespace {

constexpr std::size_t sinks = 4;

/// Everything of a pattern but its rows.
struct Pattern {
    PatternSpec spec;
    ChaCha12 generator;
    std::vector<double> dense;                  ///< [seq_len] 1 for a dense token, else 0
    std::vector<std::uint64_t> layer_begin;     ///< where each layer's draws begin, in words
    std::vector<std::vector<double>> key_norms; ///< [layer][seq_len]
    std::vector<double> token_types;
};

double key_norm(PatternStyle style, std::size_t position, bool dense, ChaCha12& generator) {
    if (style == PatternStyle::micro)
        return generator.uniform() < 0.05 ? 2 + 2 * generator.uniform() : 0.9 + 0.2 * generator.uniform();
    double norm = 1;
    if (position < sinks) norm *= 0.7;
    if (dense) norm *= 0.8;
    if (generator.uniform() < 0.05) norm *= 2 + 2 * generator.uniform();
    return norm * (0.9 + 0.2 * generator.uniform());
}

double token_type(PatternStyle style, double u) {
    if (u < 0.85) return 0;
    return style == PatternStyle::micro || u < 0.95 ? 1 : 2;
}

Pattern draw(const PatternSpec& spec) {
    Pattern p{spec, ChaCha12(spec.seed), std::vector<double>(padded(spec.seq_len)), {}, {}, {}};
    const std::size_t n = spec.seq_len;
    if (spec.style == PatternStyle::full && n > sinks) {
        std::vector<std::size_t> positions(n - sinks);
        std::iota(positions.begin(), positions.end(), sinks);
        p.generator.shuffle(positions);
        const auto dense = std::min(positions.size(), static_cast<std::size_t>(0.1 * static_cast<double>(n)));
        for (std::size_t i = 0; i < dense; ++i) p.dense[positions[i]] = 1;
    }
    const std::uint64_t row_words = 2 * (n * (n + 1) / 2);
    for (std::size_t layer = 0; layer < spec.num_layers; ++layer) {
        p.layer_begin.push_back(p.generator.position());
        p.generator.seek(p.generator.position() + row_words);
        auto& norms = p.key_norms.emplace_back(padded(n));
        for (std::size_t i = 0; i < n; ++i) norms[i] = key_norm(spec.style, i, p.dense[i] != 0, p.generator);
    }
    p.token_types.resize(padded(n));
    for (std::size_t i = 0; i < n; ++i) p.token_types[i] = token_type(spec.style, p.generator.uniform());
    return p;
}

/// A key's weight before noise. `full` takes the focus power here, `micro` after the noise.
double weight(const PatternSpec& spec, std::size_t distance, std::size_t sink_rank, bool dense, double focus) {
    const bool full = spec.style == PatternStyle::full;
    const double window = full ? 64 : 32;
    const auto d = static_cast<double>(distance);
    double w = 1;
    if (sink_rank > 0) w += spec.sink_strength * static_cast<double>(sink_rank);
    if (d < window) w += spec.local_strength * (1 - d / window);
    if (!full) return w;
    if (dense) w *= 3;
    w *= 1 / (1 + 0.001 * d);
    return std::pow(w, focus);
}

class SyntheticReader final : public LayerReader {
public:
    SyntheticReader(const Pattern& pattern, std::size_t layer)
        : pattern_(pattern), generator_(pattern.generator), key_norm_(pattern.key_norms[layer].data()),
          focus_(1 + 2 * static_cast<double>(layer) / static_cast<double>(pattern.spec.num_layers)),
          plain_(table(false)), dense_(pattern.spec.style == PatternStyle::full ? table(true) : plain_),
          row_(padded(pattern.spec.seq_len)) {
        generator_.seek(pattern.layer_begin[layer]);
    }

    const double* key_norm() const override { return key_norm_; }
    std::size_t head_stride() const override { return row_.size(); }

    const double* next_row() override {
        const std::size_t n = ++query_count_;
        const std::size_t last = pattern_.spec.seq_len - n;
        generator_.uniforms(row_.data(), n);
        double sink_weight[sinks];
        for (std::size_t k = 0; k < std::min(n, sinks); ++k)
            sink_weight[k] = weight(pattern_.spec, n - 1 - k, sinks - k, false, focus_);
        if (pattern_.spec.style == PatternStyle::micro)
            raw_row_powered(plain_.data() + last, sink_weight, std::min(n, sinks), focus_, n, row_.data());
        else
            raw_row(plain_.data() + last, dense_.data() + last, pattern_.dense.data(), sink_weight, std::min(n, sinks),
                    n, row_.data());
        softmax(n, row_.data());
        return row_.data();
    }

private:
    /// Weights by distance, farthest first, so that a row is a window that slides by one a query.
    std::vector<double> table(bool dense) const {
        const std::size_t n = pattern_.spec.seq_len;
        std::vector<double> weights(n + row_padding, 1.0);
        for (std::size_t i = 0; i < n; ++i) weights[i] = weight(pattern_.spec, n - 1 - i, 0, dense, focus_);
        return weights;
    }

    const Pattern& pattern_;
    ChaCha12 generator_;
    const double* key_norm_;
    double focus_;
    std::vector<double> plain_, dense_, row_;
    std::size_t query_count_ = 0;
};

class SyntheticTrace final : public Trace {
public:
    explicit SyntheticTrace(const PatternSpec& spec) : pattern_(draw(spec)) {}
    const std::string& name() const override { return pattern_.spec.name; }
    std::size_t seq_len() const override { return pattern_.spec.seq_len; }
    std::size_t num_layers() const override { return pattern_.spec.num_layers; }
    std::size_t heads() const override { return 1; }
    const double* token_type() const override { return pattern_.token_types.data(); }
    std::unique_ptr<LayerReader> open_layer(std::size_t layer) const override {
        return std::make_unique<SyntheticReader>(pattern_, layer);
    }

private:
    Pattern pattern_;
};

} // namespace

TracePtr make_pattern(const PatternSpec& spec) { return std::make_shared<SyntheticTrace>(spec); }

} // namespace evictlab
