// Where single precision would lose the digits of a change: a change that is small beside the outputs that it is the
// difference of, and attention of which next to nothing is left. SPDX-License-Identifier: MIT
#include <algorithm>

#include "framework/damage/continuation_damage.hpp"

namespace evictlab {
namespace {

/// Of |o - o'|^2 / |o|^2: the difference of two outputs in single precision has four digits or fewer below.
constexpr double small_change = 1e-4;

} // namespace

bool ContinuationDamage::is_small(DamageScratch& scratch) const {
    const float* change = scratch.change_.data();
    scratch.squares_.resize(judged_stride_);
    dot_rows(change, change, shape_.query_heads * shape_.dim, judged_stride_, scratch.squares_.data());
    double sum = 0;
    for (std::size_t i = 0; i < judged_; ++i)
        if (head_norms_[i] > 0) sum += static_cast<double>(scratch.squares_[i]) / static_cast<double>(head_norms_[i]);
    return sum < small_change * static_cast<double>(judged_);
}

/// o - o' is E - m o', where E is what the evicted tokens add to o and m their attention: sums of what is small itself.
/// So far the change told o' well, and itself to a few digits.
void ContinuationDamage::refine_head(std::size_t head, DamageScratch& scratch) const {
    const std::size_t dim = shape_.dim, stride = judged_stride_;
    sum_selected(head, scratch.evicted_, scratch.part_);
    const float* prompt = of_prompt_.data() + head * sums_stride_;
    const float* rest = of_rest_.data() + head * sums_stride_;
    const float* evicted = scratch.part_.data();
    float* change = scratch.change_.data() + head * dim * stride;
    for (std::size_t x = 0; x < dim; ++x)
        for (std::size_t i = 0; i < judged_; ++i) {
            const std::size_t at = x * stride + i;
            change[at] = evicted[at] - evicted[dim * stride + i] * ((prompt[at] + rest[at]) - change[at]);
        }
}

void ContinuationDamage::refine(std::size_t head, std::size_t query, std::span<const std::uint32_t> evicted,
                                DamageScratch& scratch) const {
    const std::size_t dim = shape_.dim, stride = judged_stride_;
    const float* prompt = of_prompt_.data() + head * sums_stride_ + query;
    const float* rest = of_rest_.data() + head * sums_stride_ + query;
    float* change = scratch.change_.data() + head * dim * stride + query;
    double mass = 0;
    std::vector<double> sums(dim);
    for (const std::uint32_t token : evicted) {
        const auto weight = static_cast<double>(attention(head, token, query));
        mass += weight;
        for (std::size_t x = 0; x < dim; ++x) sums[x] += weight * value(head / shape_.group(), token, x);
    }
    for (std::size_t x = 0; x < dim; ++x) {
        const std::size_t at = x * stride;
        change[at] = static_cast<float>(sums[x] - mass * static_cast<double>((prompt[at] + rest[at]) - change[at]));
    }
}

double ContinuationDamage::value(std::size_t kv_head, std::size_t token, std::size_t channel) const {
    const std::size_t row = kv_head * (shape_.dim + 1) + channel, rest = shape_.tokens - prompt_;
    return static_cast<double>(token < prompt_ ? values_[row * prompt_ + token]
                                               : rest_values_[row * rest + token - prompt_]);
}

void ContinuationDamage::set_deep_change(std::size_t head, std::size_t query, std::span<const std::uint32_t> kept,
                                         DamageScratch& scratch) const {
    std::vector<std::uint32_t> tokens(kept.begin(), kept.end());
    for (std::size_t j = prompt_; j <= prompt_ + query * every_; ++j) tokens.push_back(static_cast<std::uint32_t>(j));
    const std::vector<double> shares = deep_rows_.attention(head, query, tokens);
    std::vector<double> sums(shape_.dim);
    for (std::size_t t = 0; t < tokens.size(); ++t)
        for (std::size_t x = 0; x < shape_.dim; ++x) sums[x] += shares[t] * value(head / shape_.group(), tokens[t], x);
    const std::vector<float> output(sums.begin(), sums.end());
    set_change(head, query, output.data(), scratch);
}

} // namespace evictlab
