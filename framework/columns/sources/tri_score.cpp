// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/numeric/sums.hpp"
#include "framework/attention/matmul.hpp"
#include "framework/columns/calibrated.hpp"
#include "framework/columns/states.hpp"
#include "framework/layer/rope.hpp"

namespace evictlab::columns {
namespace {

constexpr std::size_t authors_future = 65536;

/// TriAttention's mean query of a head, put at positions to come, meets the cached keys as they are, after RoPE: which
/// is what its sum of cosines over the pairs says. One product for the mean over the positions, one each for the
/// largest.
struct TriScore {
    std::size_t future = authors_future;
    bool peak = false, mean = false, raw = false;

    void operator()(const RowContext& row, double* out) const {
        const HeadTensors& t = *row.tensors;
        const std::size_t n = row.tokens, stride = padded_columns(n);
        AlignedFloats keys(t.dim * stride); // [dim][stride]
        transpose(t.k, t.dim, n, t.dim, keys.data(), stride);
        std::vector<double> lengths(t.dim / 2 * n), scores(n), products(n);
        numeric::pair_lengths(keys.data(), stride, t.dim, n, lengths.data());
        if (!mean) std::fill(out, out + n, -HUGE_VAL);
        for (std::size_t g = 0; g < t.group; ++g) {
            score(row, t.kv_head * t.group + g, keys, stride, products, scores);
            add_lengths(t, t.kv_head * t.group + g, lengths, scores);
            if (!raw) standardise(scores);
            for (std::size_t i = 0; i < n; ++i)
                out[i] = mean ? out[i] + scores[i] / static_cast<double>(t.group) : std::max(out[i], scores[i]);
        }
    }

private:
    /// By the distances 1, 2, 4, ... behind the tokens seen.
    void score(const RowContext& row, std::size_t head, const AlignedFloats& keys, std::size_t stride,
               std::vector<double>& products, std::vector<double>& scores) const {
        const HeadTensors& t = *row.tensors;
        std::vector<double> query(t.dim), turned(t.dim), sum(t.dim);
        for (std::size_t x = 0; x < t.dim; ++x)
            query[x] = static_cast<double>(calibration_of(t).query_mean[head * t.dim + x]);
        Rotation rotation(t.dim);
        double count = 0;
        std::fill(scores.begin(), scores.end(), -HUGE_VAL);
        for (std::size_t offset = 1; offset <= future; offset *= 2, ++count) {
            set_mean(t, row.query + 1 + offset, 1, rotation);
            rotation.apply(query.data(), turned.data());
            if (peak) {
                numeric::products(keys.data(), stride, t.dim, turned.data(), scores.size(), products.data());
                for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = std::max(scores[i], products[i]);
            }
            for (std::size_t x = 0; x < t.dim; ++x) sum[x] += turned[x];
        }
        if (peak) return;
        for (double& x : sum) x /= count;
        numeric::products(keys.data(), stride, t.dim, sum.data(), scores.size(), scores.data());
    }

    /// What queries that scatter around their mean give to a long key wherever it stands.
    static void add_lengths(const HeadTensors& t, std::size_t head, const std::vector<double>& lengths,
                            std::vector<double>& scores) {
        const LayerCalibration& layer = calibration_of(t);
        const std::size_t half = t.dim / 2, n = scores.size();
        for (std::size_t f = 0; f < half; ++f) {
            const float* const pair = layer.query_mean.data() + head * t.dim + f;
            const double spread = static_cast<double>(layer.query_abs_mean[head * half + f]) -
                                  std::hypot(static_cast<double>(pair[0]), static_cast<double>(pair[half]));
            const double factor = spread * static_cast<double>(t.rope_scale);
            for (std::size_t i = 0; i < n; ++i) scores[i] += factor * lengths[f * n + i];
        }
    }

    static void standardise(std::vector<double>& scores) {
        const auto n = static_cast<double>(scores.size());
        double mean = 0, squares = 0;
        for (const double score : scores) mean += score / n;
        for (const double score : scores) squares += (score - mean) * (score - mean) / n;
        const double deviation = std::max(std::sqrt(squares), 1e-6);
        for (double& score : scores) score = (score - mean) / deviation;
    }
};

TriScore read(std::string_view text) {
    Arguments arguments("tri_score", text);
    TriScore made;
    made.future = arguments.keyed("future", authors_future, 1, std::size_t{1} << 24);
    made.peak = arguments.word("peak");
    made.mean = arguments.word("mean");
    made.raw = arguments.word("raw");
    arguments.end("tri_score or tri_score:future=65536:peak:mean:raw");
    return made;
}

} // namespace

ColumnInfo describe_tri_score() {
    return {"tri_score",
            "attention that the token's key may expect of a query head's usual queries 1, 2, 4, ... 65536 positions "
            "later, by their means that were learned once for the model, standardized over the cached tokens, the "
            "largest of the query heads of its KV head (TriAttention); tri_score:future=F looks at most F positions "
            "ahead, :peak takes the largest over them in place of the mean, :mean the mean of the query heads, :raw "
            "standardizes nothing",
            ColumnKind::token,
            [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                return std::make_unique<TensorRule<TriScore>>(tokens, read(arguments));
            },
            ColumnNeeds::calibration,
            last_query,
            ColumnQueries::none};
}

} // namespace evictlab::columns
