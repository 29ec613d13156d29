// CAKE: attention and how much it shifts between queries; layers share the budget by the entropy and the shifts of
// their attention. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "pooling.hpp"

struct Cake {
    int window = 32, kernel = 5;
    double gamma = 200, tau1 = 1, tau2 = 1;

    static constexpr evictlab::Info info{
        .id = "cake",
        .name = "CAKE",
        .description =
            "age < window: keep; else window_attn + gamma window_var, averaged over neighbours; layers share "
            "the budget by window_entropy^(1/tau1) window_var^(1/tau2)",
        .reference = "CAKE c4675ce; Qin et al. 2025, CAKE: Cascading and Adaptive KV Cache Eviction with Layer "
                     "Preferences, arXiv:2503.12491"};
    static constexpr evictlab::Columns columns{"window_attn:{window}", "window_var:{window}",
                                               "window_entropy:{window}"};
    static constexpr evictlab::Parameter<Cake> parameters[] = {
        {&Cake::window,
         {.key = "window", .label = "window", .help = "latest queries, and newest tokens kept", .min = 2, .max = 4096}},
        {&Cake::kernel,
         {.key = "kernel", .label = "kernel", .help = "of the pooling, odd, in tokens", .min = 1, .max = 255}},
        {&Cake::gamma, {.key = "gamma", .label = "gamma", .help = "weight of the variance", .max = 1e6}},
        {&Cake::tau1,
         {.key = "tau1", .help = "temperature of the entropy", .min = 0.01, .max = 100, .log_scale = true}},
        {&Cake::tau2,
         {.key = "tau2", .help = "temperature of the variance", .min = 0.01, .max = 100, .log_scale = true}}};
    static constexpr evictlab::Preset presets[] = {
        {"paper",
         "the authors' program with both temperatures 1; theirs are tuned for each model and budget",
         {},
         evictlab::Standing::published}};
    static constexpr std::size_t facts = 1; // the layer's preference, but for a factor that all layers share

    std::size_t before_window(std::size_t tokens) const {
        return tokens - std::min(tokens, static_cast<std::size_t>(window));
    }

    void score(evictlab::Head<Cake> head, std::span<double> out) const {
        const auto mean = head["window_attn"], variance = head["window_var"];
        const auto scored = out.first(before_window(out.size()));
        for (std::size_t i = 0; i < scored.size(); ++i) scored[i] = mean[i] + gamma * variance[i];
        average_pool(scored, static_cast<std::size_t>(kernel));
        std::ranges::fill(out.subspan(scored.size()), evictlab::keep);
    }

    void layer_facts(evictlab::Batch<Cake> batch, std::span<const double>, std::span<double> told) const {
        const std::size_t scored = before_window(batch.tokens());
        double entropy = 0, variance = 0;
        for (std::size_t h = 0; h < batch.heads(); ++h) {
            const auto part = batch.head(h)["window_entropy"].first(scored);
            const auto shift = batch.head(h)["window_var"].first(scored);
            entropy = std::accumulate(part.begin(), part.end(), entropy);
            variance = std::accumulate(shift.begin(), shift.end(), variance);
        }
        told[0] = std::pow(std::max(entropy, 0.0), 1 / tau1) * std::pow(variance, 1 / tau2);
    }

    // In whole tokens a head, the window's apart. Two rules of the authors' program: nothing goes of prompts that are
    // longer than the capacity by less than the window, and what is handed to layers beyond their tokens is lost. Where
    // the capacity is no more than the window, every layer keeps that.
    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        const auto tokens = static_cast<long>(model[0].tokens()), capacity = static_cast<long>(model[0].kept());
        const auto most = static_cast<long>(before_window(model[0].tokens()));
        const long above = capacity - window, layers = static_cast<long>(model.size());
        if (tokens <= capacity + window) std::ranges::fill(kept, model[0].tokens());
        if (tokens <= capacity + window || above <= 0) return;
        std::vector<long> shares = by_preference(model, above * layers);
        long excess = 0;
        for (long& share : shares) excess += std::max(share - most, 0L), share = std::min(share, most);
        const auto has_room = [most](long share) { return share < most; };
        hand_out(shares, excess, has_room);
        const long missing = above * layers - std::accumulate(shares.begin(), shares.end(), 0L);
        if (missing < 0)
            hand_out(shares, missing, [](long share) { return share > 1; });
        else
            hand_out(shares, missing, has_room);
        auto next = kept.begin();
        for (std::size_t i = 0; i < model.size(); ++i)
            next = std::fill_n(next, model[i].heads(),
                               static_cast<std::uint64_t>(std::clamp(shares[i], 0L, most) + window));
    }

    // In single precision, which decides where a share ends near a whole number.
    static std::vector<long> by_preference(evictlab::Model model, long total) {
        float sum = 0;
        for (std::size_t i = 0; i < model.size(); ++i) sum += static_cast<float>(model[i].fact(0));
        std::vector<long> shares;
        for (std::size_t i = 0; i < model.size(); ++i)
            shares.push_back(static_cast<long>(static_cast<float>(model[i].fact(0)) / sum * static_cast<float>(total)));
        return shares;
    }

    // Divides `tokens` equally among the layers that `takes` says; what does not divide goes one by one to the first.
    template <class Takes>
    static void hand_out(std::vector<long>& shares, long tokens, Takes takes) {
        std::vector<long*> takers;
        for (long& share : shares)
            if (takes(share)) takers.push_back(&share);
        if (takers.empty()) return;
        const long count = static_cast<long>(takers.size()), each = tokens / count, left = std::labs(tokens % count);
        for (long i = 0; i < count; ++i)
            *takers[static_cast<std::size_t>(i)] += each + (i < left ? (tokens < 0 ? -1 : 1) : 0);
    }
};
EVICTLAB_SCORER(Cake)
