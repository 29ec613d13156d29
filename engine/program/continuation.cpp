// SPDX-License-Identifier: MIT
#include "engine/program/continuation.hpp"

#include <algorithm>
#include <cmath>

namespace evictlab::engine {
namespace {

std::span<const float> feed_one(const Feed& feed, llama_token token, Continuation& to) {
    const Stopwatch watch;
    const std::span<const float> logits = feed({&token, 1});
    to.times.push_back(watch.spent());
    to.tokens.push_back(token);
    to.logits.emplace_back(logits.begin(), logits.end());
    return logits;
}

double log_sum_exp(std::span<const float> logits) {
    const auto most = static_cast<double>(*std::ranges::max_element(logits));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - most);
    return most + std::log(sum);
}

} // namespace

llama_token likeliest(std::span<const float> logits) {
    return static_cast<llama_token>(std::ranges::max_element(logits) - logits.begin());
}

Continuation follow(const Feed& feed, std::span<const llama_token> tokens) {
    Continuation out;
    for (const llama_token token : tokens) feed_one(feed, token, out);
    return out;
}

Continuation generate(const Feed& feed, const Model& model, llama_token first, std::size_t count) {
    const llama_vocab* vocab = llama_model_get_vocab(model.get());
    Continuation out;
    llama_token next = first;
    while (out.tokens.size() < count) {
        const std::span<const float> logits = feed_one(feed, next, out);
        if (llama_vocab_is_eog(vocab, next)) break;
        next = likeliest(logits);
    }
    return out;
}

Difference compare(const Continuation& full, const Continuation& evicted) {
    const std::size_t positions = full.logits.size(), targets = positions - 1;
    Difference out;
    double loss_full = 0, loss = 0;
    for (std::size_t i = 0; i < positions; ++i) {
        const std::vector<float>&p = full.logits[i], &q = evicted.logits[i];
        const double p_all = log_sum_exp(p), shift = log_sum_exp(q) - p_all;
        double sum = 0;
        for (std::size_t t = 0; t < p.size(); ++t) {
            const auto logit = static_cast<double>(p[t]);
            sum += std::exp(logit - p_all) * (logit - static_cast<double>(q[t]));
        }
        out.kl += sum + shift;
        out.agreement += likeliest(p) == likeliest(q) ? 1 : 0;
        if (i == targets) break;
        const auto target = static_cast<std::size_t>(full.tokens[i + 1]);
        loss_full += p_all - static_cast<double>(p[target]);
        loss += p_all + shift - static_cast<double>(q[target]);
    }
    out.kl /= static_cast<double>(positions);
    out.agreement /= static_cast<double>(positions);
    if (targets > 0) {
        out.perplexity_full = std::exp(loss_full / static_cast<double>(targets));
        out.perplexity = std::exp(loss / static_cast<double>(targets));
    }
    return out;
}

} // namespace evictlab::engine
