// SPDX-License-Identifier: MIT
#include "framework/damage/continuation_damage.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <limits>
#include <numeric>

#include "base/numeric/clones.hpp"
#include "framework/attention/matmul.hpp"

namespace evictlab {
namespace {

constexpr std::size_t block_rows = 32;
/// What a subtraction leaves of single precision where it leaves this share: all but five bits.
constexpr float least_share = 1.0F / 32;

} // namespace

EVICTLAB_CLONES void dot_rows(const float* a, const float* b, std::size_t rows, std::size_t stride, float* sums) {
    std::fill_n(sums, stride, 0.0F);
    for (std::size_t x = 0; x < rows; ++x)
        for (std::size_t i = 0; i < stride; ++i) sums[i] += a[x * stride + i] * b[x * stride + i];
}

OutputMetric OutputMetric::of(std::span<const float> o_proj, std::size_t width) {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto columns = static_cast<Eigen::Index>(width);
    const auto hidden = static_cast<Eigen::Index>(o_proj.size() / width);
    const Eigen::MatrixXd w = Eigen::Map<const Matrix>(o_proj.data(), hidden, columns).cast<double>();
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(w);
    OutputMetric metric;
    metric.width = width;
    metric.r.assign(width * width, 0.0F);
    for (Eigen::Index i = 0; i < std::min(hidden, columns); ++i)
        for (Eigen::Index j = i; j < columns; ++j)
            metric.r[static_cast<std::size_t>(i * columns + j)] = static_cast<float>(qr.matrixQR()(i, j));
    return metric;
}

ContinuationDamage::ContinuationDamage(const AttentionRows& rows, std::size_t prompt, const OutputMetric* metric,
                                       std::span<const float> sensitivity, std::size_t every)
    : shape_(rows.layer().shape), prompt_(prompt), every_(every), judged_((shape_.tokens - prompt + every - 1) / every),
      judged_stride_(padded_columns(judged_)), sums_stride_((shape_.dim + 1) * judged_stride_), metric_(metric),
      mean_attention_(shape_.kv_heads * prompt) {
    values_.resize(shape_.kv_heads * (shape_.dim + 1) * prompt_);
    for (std::size_t a = 0; a < shape_.kv_heads; ++a) {
        float* to = values_.data() + a * (shape_.dim + 1) * prompt_;
        transpose(rows.layer().value(a, 0), shape_.dim, prompt_, shape_.dim, to, prompt_);
        std::fill_n(to + shape_.dim * prompt_, prompt_, 1.0F);
    }
    read_rows(rows);
    measure_outputs();
    if (!sensitivity.empty()) read_sensitivity(sensitivity);
}

void ContinuationDamage::read_sensitivity(std::span<const float> sensitivity) {
    const std::size_t width = shape_.query_heads * shape_.dim;
    const std::size_t of_probe = (shape_.tokens - prompt_) * width;
    probes_ = sensitivity.size() / of_probe;
    sensitivity_.assign(probes_ * width * judged_stride_, 0.0F);
    for (std::size_t p = 0; p < probes_; ++p)
        transpose(sensitivity.data() + p * of_probe, every_ * width, judged_, width,
                  sensitivity_.data() + p * width * judged_stride_, judged_stride_);
}

void ContinuationDamage::read_rows(const AttentionRows& rows) {
    const LayerShape& s = shape_;
    const std::size_t rest = s.tokens - prompt_;
    AlignedFloats block(rest * rows.stride());
    rest_values_.resize(s.kv_heads * (s.dim + 1) * rest);
    rest_attention_.resize(s.query_heads * rest * judged_stride_);
    attention_.resize(s.query_heads * prompt_ * judged_stride_);
    of_prompt_.resize(s.query_heads * sums_stride_);
    of_rest_.resize(of_prompt_.size());
    const double share = 1 / static_cast<double>(judged_ * s.group());
    for (std::size_t h = 0; h < s.query_heads; ++h) {
        const std::size_t a = h / s.group();
        float* const rest_values = rest_values_.data() + a * (s.dim + 1) * rest;
        if (h % s.group() == 0) {
            transpose(rows.layer().value(a, prompt_), s.dim, rest, s.dim, rest_values, rest);
            std::fill_n(rest_values + s.dim * rest, rest, 1.0F);
        }
        rows.compute(h, prompt_, rest, block.data());
        float* attention = attention_.data() + h * prompt_ * judged_stride_;
        transpose(block.data(), every_ * rows.stride(), judged_, prompt_, attention, judged_stride_);
        float* rest_attention = rest_attention_.data() + h * rest * judged_stride_;
        transpose(block.data() + prompt_, every_ * rows.stride(), judged_, rest, rest_attention, judged_stride_);
        matmul(values_.data() + a * (s.dim + 1) * prompt_, prompt_, attention, judged_stride_,
               of_prompt_.data() + h * sums_stride_, judged_stride_, s.dim + 1, prompt_, judged_stride_);
        float* const of_rest = of_rest_.data() + h * sums_stride_;
        matmul(rest_values, rest, rest_attention, judged_stride_, of_rest, judged_stride_, s.dim + 1, rest,
               judged_stride_);
        for (std::size_t i = 0; i < judged_; ++i)
            if (of_rest[s.dim * judged_stride_ + i] < DeepRows::depth)
                deep_rows_.add(rows.layer(), h, i, prompt_ + i * every_);
        for (std::size_t j = 0; j < prompt_; ++j) {
            double sum = 0;
            for (std::size_t i = 0; i < judged_; ++i) sum += static_cast<double>(attention[j * judged_stride_ + i]);
            mean_attention_[a * prompt_ + j] += sum * share;
        }
    }
}

void ContinuationDamage::measure_outputs() {
    const std::size_t width = shape_.query_heads * shape_.dim;
    AlignedFloats outputs(width * judged_stride_), product;
    for (std::size_t h = 0; h < shape_.query_heads; ++h)
        for (std::size_t i = 0; i < shape_.dim * judged_stride_; ++i)
            outputs[h * shape_.dim * judged_stride_ + i] =
                of_prompt_[h * sums_stride_ + i] + of_rest_[h * sums_stride_ + i];
    head_norms_.resize(judged_stride_);
    dot_rows(outputs.data(), outputs.data(), width, judged_stride_, head_norms_.data());
    if (metric_) squared_norms(outputs, product, output_norms_);
}

void ContinuationDamage::squared_norms(const AlignedFloats& x, AlignedFloats& product,
                                       std::vector<double>& sums) const {
    const std::size_t width = metric_->width;
    product.resize(block_rows * judged_stride_);
    sums.assign(judged_stride_, 0.0);
    for (std::size_t first = 0; first < width; first += block_rows) {
        const std::size_t count = std::min(block_rows, width - first);
        matmul(metric_->r.data() + first * width + first, width, x.data() + first * judged_stride_, judged_stride_,
               product.data(), judged_stride_, count, width - first, judged_stride_);
        for (std::size_t r = 0; r < count; ++r)
            for (std::size_t i = 0; i < judged_stride_; ++i) {
                const auto value = static_cast<double>(product[r * judged_stride_ + i]);
                sums[i] += value * value;
            }
    }
}

double ContinuationDamage::attention_loss(std::span<const std::vector<std::uint32_t>> kept) const {
    double loss = 0;
    for (std::size_t a = 0; a < shape_.kv_heads; ++a) {
        const auto mean = mean_attention(a);
        std::size_t next = 0;
        for (std::size_t j = 0; j < prompt_; ++j) {
            if (next < kept[a].size() && kept[a][next] == j)
                ++next;
            else
                loss += mean[j];
        }
    }
    return loss / static_cast<double>(shape_.kv_heads);
}

/// The head's part of o - o', where o' attends to what is still cached alone.
void ContinuationDamage::add_head(std::size_t head, std::span<const std::uint32_t> kept, DamageScratch& scratch) const {
    const std::size_t dim = shape_.dim, stride = judged_stride_;
    const bool by_evicted = kept.size() > prompt_ / 2; // the shorter sum
    sum_selected(head, by_evicted ? std::span<const std::uint32_t>(scratch.evicted_) : kept, scratch.part_);
    const float* part = scratch.part_.data();
    const float* prompt = of_prompt_.data() + head * sums_stride_;
    const float* rest = of_rest_.data() + head * sums_stride_;
    const auto subtracted = [&](std::size_t at) { return (prompt[at] - part[at]) + rest[at]; };
    const auto loses_digits = [&](std::size_t i) {
        return by_evicted && !(subtracted(dim * stride + i) > least_share);
    };
    for (std::size_t i = 0; i < judged_; ++i)
        if (loses_digits(i)) {
            sum_selected(head, kept, scratch.kept_part_);
            break;
        }
    float* change = scratch.change_.data() + head * dim * stride;
    for (std::size_t i = 0; i < judged_; ++i) {
        const bool direct = !by_evicted || loses_digits(i);
        const float* summed = by_evicted ? scratch.kept_part_.data() : part;
        const auto cached = [&](std::size_t at) { return direct ? summed[at] + rest[at] : subtracted(at); };
        const float mass = cached(dim * stride + i);
        if (mass < DeepRows::depth) {
            set_deep_change(head, i, kept, scratch);
            continue;
        }
        const float share = 1 / mass;
        for (std::size_t x = 0; x < dim; ++x) {
            const std::size_t at = x * stride + i;
            change[at] = (prompt[at] + rest[at]) - cached(at) * share;
        }
    }
}

void ContinuationDamage::sum_selected(std::size_t head, std::span<const std::uint32_t> tokens,
                                      AlignedFloats& sums) const {
    sums.resize(sums_stride_);
    matmul_selected(values_.data() + head / shape_.group() * (shape_.dim + 1) * prompt_, prompt_,
                    attention_.data() + head * prompt_ * judged_stride_, judged_stride_, tokens, sums.data(),
                    judged_stride_, shape_.dim + 1, judged_stride_);
}

void ContinuationDamage::change_outputs(std::span<const std::vector<std::uint32_t>> kept,
                                        DamageScratch& scratch) const {
    start_change(scratch);
    for (std::size_t a = 0; a < shape_.kv_heads; ++a) {
        find_evicted(kept[a], scratch);
        for (std::size_t g = 0; g < shape_.group(); ++g) add_head(a * shape_.group() + g, kept[a], scratch);
    }
    if (!is_small(scratch)) return;
    for (std::size_t a = 0; a < shape_.kv_heads; ++a) {
        find_evicted(kept[a], scratch);
        for (std::size_t g = 0; g < shape_.group(); ++g) refine_head(a * shape_.group() + g, scratch);
    }
}

void ContinuationDamage::find_evicted(std::span<const std::uint32_t> kept, DamageScratch& scratch) const {
    scratch.evicted_.clear();
    std::size_t next = 0;
    for (std::uint32_t j = 0; j < prompt_; ++j) {
        if (next < kept.size() && kept[next] == j)
            ++next;
        else
            scratch.evicted_.push_back(j);
    }
}

void ContinuationDamage::start_change(DamageScratch& scratch) const {
    scratch.change_.assign(shape_.query_heads * shape_.dim * judged_stride_, 0.0F);
}

void ContinuationDamage::set_change(std::size_t head, std::size_t query, const float* output,
                                    DamageScratch& scratch) const {
    const float* prompt = of_prompt_.data() + head * sums_stride_ + query;
    const float* rest = of_rest_.data() + head * sums_stride_ + query;
    float* change = scratch.change_.data() + head * shape_.dim * judged_stride_ + query;
    for (std::size_t x = 0; x < shape_.dim; ++x) {
        const std::size_t at = x * judged_stride_;
        change[at] = (prompt[at] + rest[at]) - output[x];
    }
}

double ContinuationDamage::output_error_of_change(DamageScratch& scratch) const {
    if (!metric_) return std::numeric_limits<double>::quiet_NaN();
    std::vector<double> squares;
    squared_norms(scratch.change_, scratch.product_, squares);
    double error = 0;
    for (std::size_t i = 0; i < judged_; ++i) error += squares[i] / output_norms_[i];
    return error / static_cast<double>(judged_);
}

Damage ContinuationDamage::of(std::span<const std::vector<std::uint32_t>> kept, DamageScratch& scratch) const {
    if (metric_ || probes_ > 0) change_outputs(kept, scratch);
    return {attention_loss(kept), output_error_of_change(scratch)};
}

void ContinuationDamage::respond(const DamageScratch& scratch, std::span<float> out) const {
    const std::size_t width = shape_.query_heads * shape_.dim;
    AlignedFloats sums(judged_stride_);
    for (std::size_t p = 0; p < probes_; ++p) {
        dot_rows(sensitivity_.data() + p * width * judged_stride_, scratch.change_.data(), width, judged_stride_,
                 sums.data());
        for (std::size_t i = 0; i < judged_; ++i) out[p * judged_ + i] += sums[i];
    }
}

double predicted_kl(std::span<const float> responses) {
    double sum = 0;
    for (const float response : responses) sum += static_cast<double>(response) * static_cast<double>(response);
    return sum / (2 * static_cast<double>(responses.size()));
}

} // namespace evictlab
