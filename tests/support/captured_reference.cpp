// SPDX-License-Identifier: MIT
#include "tests/support/captured_reference.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace evictlab::test {

SlowLayer::SlowLayer(const OwnedLayer& layer, std::size_t prompt, std::vector<double> token_type,
                     std::vector<double> o_proj)
    : layer_(layer), prompt_(prompt), token_type_(std::move(token_type)), o_proj_(std::move(o_proj)) {}

std::vector<std::uint32_t> SlowLayer::all_up_to(std::size_t i) const {
    std::vector<std::uint32_t> tokens(i + 1);
    std::iota(tokens.begin(), tokens.end(), 0U);
    return tokens;
}

std::vector<double> SlowLayer::attention(std::size_t head, std::size_t i,
                                         const std::vector<std::uint32_t>& tokens) const {
    const LayerShape& s = layer_.shape;
    const float* q = layer_.q.data() + (head * s.tokens + i) * s.dim;
    std::vector<double> weights;
    double total = 0;
    for (const std::uint32_t j : tokens) {
        const float* k = layer_.k.data() + (head / s.group() * s.tokens + j) * s.dim;
        double product = 0;
        for (std::size_t x = 0; x < s.dim; ++x) product += double(q[x]) * double(k[x]);
        const bool seen = j <= i && (layer_.sliding_window == 0 || i - j < layer_.sliding_window);
        weights.push_back(seen ? std::exp(product * double(layer_.softmax_scale)) : 0);
        total += weights.back();
    }
    for (double& w : weights) w /= total;
    return weights;
}

std::vector<double> SlowLayer::mean_row(std::size_t a, std::size_t i) const {
    const std::size_t group = layer_.shape.group();
    std::vector<double> mean(i + 1);
    for (std::size_t g = 0; g < group; ++g) {
        const auto row = attention(a * group + g, i, all_up_to(i));
        for (std::size_t j = 0; j <= i; ++j) mean[j] += row[j] / double(group);
    }
    return mean;
}

Matrix SlowLayer::column(const std::string& name) const {
    const LayerShape& s = layer_.shape;
    const std::size_t n = prompt_;
    Matrix out(s.kv_heads, std::vector<double>(n));
    const auto from = [n](std::size_t window) { return n - std::min(n, window); };
    for (std::size_t a = 0; a < s.kv_heads; ++a)
        for (std::size_t j = 0; j < n; ++j) {
            double& value = out[a][j];
            if (name == "relative_age") value = double(n - 1 - j) / double(n);
            if (name == "token_type") value = token_type_[j];
            if (name == "cumulative_attn" || name == "recent_attn" || name == "attn_entropy") {
                for (std::size_t i = std::max(j, name == "recent_attn" ? from(33) : 0); i < n; ++i) {
                    const double w = mean_row(a, i)[j];
                    value += name != "attn_entropy" ? w : w > 1e-10 ? -w * std::log(w) : 0;
                }
            }
            if (name == "window_max:5" || name == "window_std:5") {
                std::vector<double> samples;
                for (std::size_t i = from(5); i < n; ++i)
                    for (std::size_t g = 0; g < s.group(); ++g)
                        samples.push_back(j <= i ? attention(a * s.group() + g, i, all_up_to(i))[j] : 0);
                const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / double(samples.size());
                double squares = 0;
                for (const double x : samples) squares += (x - mean) * (x - mean);
                value = name == "window_max:5" ? *std::max_element(samples.begin(), samples.end())
                                               : std::sqrt(squares / double(samples.size()));
            }
        }
    if (name == "rank:cumulative_attn") {
        const Matrix base = column("cumulative_attn");
        for (std::size_t a = 0; a < s.kv_heads; ++a)
            for (std::size_t j = 0; j < n; ++j) {
                double below = 0, equal = -1;
                for (const auto& head : base)
                    for (const double other : head) {
                        below += other < base[a][j];
                        equal += other == base[a][j];
                    }
                out[a][j] = (below + equal / 2) / double(s.kv_heads * n - 1);
            }
    }
    return out;
}

std::vector<double> SlowLayer::output(std::size_t head, std::size_t i, const std::vector<std::uint32_t>& tokens) const {
    const LayerShape& s = layer_.shape;
    const auto weights = attention(head, i, tokens);
    std::vector<double> sum(s.dim);
    for (std::size_t t = 0; t < tokens.size(); ++t)
        for (std::size_t x = 0; x < s.dim; ++x)
            sum[x] += weights[t] * double(layer_.v[(head / s.group() * s.tokens + tokens[t]) * s.dim + x]);
    return sum;
}

/// ||W_o (before - after)||^2 / ||W_o before||^2 of one query, heads side by side.
double SlowLayer::relative_change(const Matrix& before, const Matrix& after) const {
    const std::size_t width = layer_.shape.query_heads * layer_.shape.dim;
    double change = 0, whole = 0;
    for (std::size_t row = 0; row < o_proj_.size() / width; ++row) {
        double y = 0, difference = 0;
        for (std::size_t c = 0; c < width; ++c) {
            const std::size_t h = c / layer_.shape.dim, x = c % layer_.shape.dim;
            y += o_proj_[row * width + c] * before[h][x];
            difference += o_proj_[row * width + c] * (before[h][x] - after[h][x]);
        }
        whole += y * y;
        change += difference * difference;
    }
    return change / whole;
}

SlowDamage SlowLayer::damage(const Sets& kept) const {
    const LayerShape& s = layer_.shape;
    SlowDamage damage;
    const double judged = double(s.tokens - prompt_);
    for (std::size_t i = prompt_; i < s.tokens; ++i) {
        Matrix before, after;
        for (std::size_t h = 0; h < s.query_heads; ++h) {
            std::vector<std::uint32_t> cached = kept[h / s.group()];
            const auto weights = attention(h, i, all_up_to(i));
            for (std::uint32_t j = 0; j < prompt_; ++j)
                if (!std::binary_search(cached.begin(), cached.end(), j))
                    damage.attention_loss += weights[j] / judged / double(s.query_heads);
            for (std::uint32_t j = std::uint32_t(prompt_); j <= i; ++j) cached.push_back(j);
            before.push_back(output(h, i, all_up_to(i)));
            after.push_back(output(h, i, cached));
        }
        if (!o_proj_.empty()) damage.output_error += relative_change(before, after) / judged;
    }
    return damage;
}

Matrix SlowLayer::responses(const Sets& kept, const std::vector<double>& sensitivity) const {
    const LayerShape& s = layer_.shape;
    const std::size_t judged = s.tokens - prompt_, width = s.query_heads * s.dim;
    Matrix out(sensitivity.size() / (judged * width), std::vector<double>(judged));
    for (std::size_t i = prompt_; i < s.tokens; ++i)
        for (std::size_t h = 0; h < s.query_heads; ++h) {
            std::vector<std::uint32_t> cached = kept[h / s.group()];
            for (std::uint32_t j = std::uint32_t(prompt_); j <= i; ++j) cached.push_back(j);
            const auto before = output(h, i, all_up_to(i)), after = output(h, i, cached);
            for (std::size_t p = 0; p < out.size(); ++p)
                for (std::size_t x = 0; x < s.dim; ++x)
                    out[p][i - prompt_] +=
                        sensitivity[(p * judged + i - prompt_) * width + h * s.dim + x] * (after[x] - before[x]);
        }
    return out;
}

double SlowLayer::score(const std::string& column, const std::vector<Cache>& caches, std::size_t a, std::uint32_t token,
                        std::size_t query) const {
    const LayerShape& s = layer_.shape;
    const auto& rows = caches[a].rows;
    double value = 0;
    if (column == "cumulative_attn")
        for (const auto& row : rows) value += row[token];
    if (column == "window_attn:3")
        for (std::size_t r = rows.size() - 3; r < rows.size(); ++r) value += rows[r][token] / 3;
    if (column == "last_attn:all")
        for (const Cache& cache : caches) value += cache.rows.back()[token] / double(caches.size());
    if (column == "layer_attn:3:ahead=2") { // of the head's own tokens, by what all heads noted
        const auto& tokens = caches[a].tokens;
        const auto at = std::ranges::find(tokens, token);
        for (auto each = at; each != tokens.end() && each != at + 2; ++each) {
            double mean = 0;
            for (const Cache& cache : caches)
                for (std::size_t r = cache.rows.size() - 3; r < cache.rows.size(); ++r)
                    mean += cache.rows[r][*each] / 3 / double(caches.size());
            value = std::max(value, mean);
        }
    }
    if (column == "relative_age") value = double(query - token) / double(query + 1);
    if (column == "key_norm") {
        for (std::size_t x = 0; x < s.dim; ++x) {
            const double k = double(layer_.k[(a * s.tokens + token) * s.dim + x]);
            value += k * k;
        }
        value = std::sqrt(value);
    }
    return value;
}

template <class Cut>
SlowDamage SlowLayer::play(const SlowSchedule& schedule, Cut&& cut, SlowCourse& course) const {
    const LayerShape& s = layer_.shape;
    std::vector<Cache> caches(s.kv_heads);
    const auto see = [&](std::size_t a, std::size_t i) {
        caches[a].tokens.push_back(std::uint32_t(i));
        std::vector<double> row(s.tokens);
        for (std::size_t g = 0; g < s.group(); ++g) {
            const auto weights = attention(a * s.group() + g, i, caches[a].tokens);
            for (std::size_t t = 0; t < weights.size(); ++t) row[caches[a].tokens[t]] += weights[t] / double(s.group());
        }
        caches[a].rows.push_back(row);
    };
    for (std::size_t i = 0; i < prompt_; ++i)
        for (std::size_t a = 0; a < s.kv_heads; ++a) see(a, i);
    if (schedule.cuts_prompt) cut(caches, prompt_ - 1);
    std::size_t newest = prompt_;
    const auto old_tokens = [&] {
        std::size_t count = 0;
        for (const Cache& cache : caches)
            count += std::size_t(std::ranges::count_if(cache.tokens, [&](auto t) { return t < newest; }));
        return count;
    };
    const auto all_tokens = [&] {
        std::size_t count = 0;
        for (const Cache& cache : caches) count += cache.tokens.size();
        return count;
    };
    SlowDamage damage;
    const double judged = double(s.tokens - prompt_);
    for (std::size_t i = prompt_; i < s.tokens; ++i) {
        Matrix output_before, output_after;
        for (std::size_t a = 0; a < s.kv_heads; ++a) see(a, i);
        double& loss = course.losses.emplace_back();
        for (std::size_t h = 0; h < s.query_heads; ++h) {
            const auto& cached = caches[h / s.group()].tokens;
            const auto weights = attention(h, i, all_up_to(i));
            for (std::uint32_t j = 0; j <= i; ++j)
                if (std::find(cached.begin(), cached.end(), j) == cached.end())
                    loss += weights[j] / double(s.query_heads);
            output_before.push_back(output(h, i, all_up_to(i)));
            output_after.push_back(output(h, i, cached));
        }
        if (!o_proj_.empty()) damage.output_error += relative_change(output_before, output_after) / judged;
        damage.attention_loss += loss / judged;
        for (const Cache& cache : caches) course.largest = std::max(course.largest, cache.tokens.size());
        const std::size_t old = old_tokens(), before = all_tokens();
        if (schedule.due(i - prompt_, caches[0].tokens.size())) {
            cut(caches, i);
            course.replaced.push_back(old - old_tokens());
            if (all_tokens() < before) newest = i + 1;
        } else {
            course.replaced.push_back(0);
        }
        course.cached.push_back(all_tokens());
    }
    return damage;
}

SlowSchedule slow_every(std::size_t interval) {
    return {[interval](std::size_t step, std::size_t) { return (step + 1) % interval == 0; }};
}

SlowDamage SlowLayer::decode(const std::string& column, std::size_t capacity, std::size_t interval) const {
    SlowCourse course;
    return decode(column, capacity, slow_every(interval), course);
}

SlowDamage SlowLayer::decode(const std::string& column, std::size_t capacity, const SlowSchedule& schedule,
                             SlowCourse& course) const {
    const auto cut = [&](std::vector<Cache>& caches, std::size_t query) {
        if (caches[0].tokens.size() <= capacity) return;
        const std::vector<Cache> before = caches;
        for (std::size_t a = 0; a < caches.size(); ++a) {
            std::vector<double> scores;
            for (const std::uint32_t t : before[a].tokens) scores.push_back(score(column, before, a, t, query));
            caches[a].tokens.clear();
            for (const std::uint32_t slot : slow_top(scores, capacity))
                caches[a].tokens.push_back(before[a].tokens[slot]);
        }
    };
    return play(schedule, cut, course);
}

SlowDamage SlowLayer::decode_by_threshold(const std::string& column, double threshold, std::size_t window,
                                          std::size_t interval, std::size_t& kept) const {
    std::size_t decided = 0; // positions below it
    const auto cut = [&](std::vector<Cache>& caches, std::size_t query) {
        const std::vector<Cache> before = caches;
        for (std::size_t a = 0; a < caches.size(); ++a)
            std::erase_if(caches[a].tokens, [&](std::uint32_t t) {
                return t >= decided && t + window <= query && score(column, before, a, t, query) < threshold;
            });
        decided = std::max(decided, query + 1 - std::min(query + 1, window));
    };
    SlowCourse course;
    const SlowDamage damage = play(slow_every(interval), cut, course);
    kept += std::accumulate(course.cached.begin(), course.cached.end(), std::size_t{0});
    return damage;
}

std::vector<std::uint32_t> slow_top(const std::vector<double>& scores, std::size_t kept) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    order.resize(std::min(kept, order.size()));
    std::sort(order.begin(), order.end());
    return order;
}

} // namespace evictlab::test
