// What the C++ sugar offers: budgets, thresholds, tensors, columns by parameters, and several rules under one id.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>
#include <cmath>

struct SdkBudgets {
    int window = 16, excess = 0;
    bool keys = true;

    static constexpr evictlab::Info info{
        .id = "sdk_budgets", .name = "SDK budgets", .budgeted = true, .tensors = true, .tensor_window = 8};
    static constexpr evictlab::Columns columns{"window_attn:{window}", "{keys?key|value}_norm"};
    static constexpr evictlab::Parameter<SdkBudgets> parameters[] = {
        {&SdkBudgets::window, {.key = "window", .min = 1, .max = 64}},
        {&SdkBudgets::excess, {.key = "excess", .help = "beyond all tokens", .max = 8}},
        {&SdkBudgets::keys, {.key = "keys"}}};
    static constexpr evictlab::Preset presets[] = {{"wide", "", {{"window", 64}}}};

    // The first three tokens tell what the batch says.
    void score(evictlab::Head<SdkBudgets> head, std::span<double> out) const {
        std::ranges::copy(head["window_attn"], out.begin());
        out[0] = head.removed_fraction();
        out[1] = static_cast<double>(head.kept());
        out[2] = head.tensors() ? static_cast<double>(head.tensors()->dim) : -1;
    }
    std::size_t layer_budget(const evl_budget_query& query) const {
        return query.kept - query.layer + static_cast<std::size_t>(excess);
    }
};

struct SdkBudgetsOfHeads {
    double share = 0.5;

    static constexpr evictlab::Info info{.id = "sdk_budgets", .name = "SDK budgets of heads"};
    static constexpr evictlab::Columns columns{};
    static constexpr evictlab::Parameter<SdkBudgetsOfHeads> parameters[] = {
        {&SdkBudgetsOfHeads::share, {.key = "share", .max = 8}}};
    static constexpr evictlab::Preset presets[] = {{"heads", "", {{"share", 1}}}};

    void score(evictlab::Head<SdkBudgetsOfHeads> head, std::span<double> out) const {
        std::ranges::fill(out, static_cast<double>(head.kept()));
    }
    // Head h keeps share h tokens; the first is what the scores saw, plus the layer's budget.
    void head_budgets(evictlab::Batch<SdkBudgetsOfHeads> batch, std::span<const double> scores,
                      std::span<std::uint64_t> kept) const {
        for (std::size_t h = 0; h < batch.heads(); ++h)
            kept[h] =
                static_cast<std::uint64_t>(share * static_cast<double>(h * batch.kept()) + batch.row(scores, h)[0]);
    }
};

struct SdkBudgetsOfModels {
    int excess = 0;
    double fact = 0;

    static constexpr evictlab::Info info{.id = "sdk_budgets", .name = "SDK budgets of models"};
    static constexpr evictlab::Columns columns{"position"};
    static constexpr evictlab::Parameter<SdkBudgetsOfModels> parameters[] = {
        {&SdkBudgetsOfModels::excess, {.key = "excess", .help = "beyond all tokens", .max = 8}},
        {&SdkBudgetsOfModels::fact, {.key = "fact", .help = "negative: its root is told", .min = -1}}};
    static constexpr evictlab::Preset presets[] = {{"model", "", {}}};
    static constexpr std::size_t facts = 3;
    using Batch = evictlab::Batch<SdkBudgetsOfModels>;

    void score(evictlab::Head<SdkBudgetsOfModels> head, std::span<double> out) const {
        std::ranges::transform(head["position"], out.begin(),
                               [&](double at) { return at + static_cast<double>(100 * head.index()); });
    }
    void layer_facts(Batch batch, std::span<const double> scores, std::span<double> told) const {
        told[0] = batch.removed_fraction();
        told[1] = batch.head(0)["position"].back() + scores.back();
        told[2] = std::sqrt(fact);
    }
    // The first head of a layer keeps what the layer would keep otherwise; the last of all, if facts and scores came
    // as they were told, as many tokens as there are layers that are not held.
    void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const {
        bool as_told = true;
        std::size_t next = 0;
        for (std::size_t i = 0; i < model.size(); ++i) {
            const evictlab::ScoredLayer layer = model[i];
            const double last = static_cast<double>(layer.tokens() - 1);
            as_told = as_told && layer.fact(0) == model.removed_fraction() &&
                      layer.fact(1) == last + layer.scores().back() &&
                      layer.scores().back() == last + static_cast<double>(100 * (layer.heads() - 1));
            kept[next] = layer.kept();
            next += layer.heads();
        }
        kept.back() = as_told ? model.num_layers() - model.size() : 0;
        if (excess > 0) kept[0] = model[0].tokens() + static_cast<std::size_t>(excess);
    }
};

struct SdkThreshold {
    int newest = 3;
    double least = 1;

    static constexpr evictlab::Info info{.id = "sdk_budgets", .name = "SDK threshold"};
    static constexpr evictlab::Columns columns{"position"};
    static constexpr evictlab::Parameter<SdkThreshold> parameters[] = {
        {&SdkThreshold::newest, {.key = "newest", .min = 1, .max = 64}},
        {&SdkThreshold::least, {.key = "least", .min = -9, .max = 9}}};
    static constexpr evictlab::Preset presets[] = {
        {"threshold", "", {}}, {"matched", "", {}, static_cast<evictlab::Standing>(EVL_PRESET_MATCHED)}};
    static constexpr evictlab::ThresholdParameters<SdkThreshold> threshold{&SdkThreshold::least, &SdkThreshold::newest};

    void score(evictlab::Head<SdkThreshold> head, std::span<double> out) const {
        std::ranges::copy(head["position"], out.begin());
    }
    // A layer has the scores of the one behind it, and the last those of the first; -9 is no number.
    void model_scores(evictlab::Model model, std::span<double* const> scores) const {
        for (std::size_t i = 0; i < model.size(); ++i)
            std::ranges::copy(model[(i + 1) % model.size()].scores(), scores[i]);
        if (least == -9) scores[1][4] = std::sqrt(least);
    }
};
EVICTLAB_SCORER(SdkBudgets, SdkBudgetsOfHeads, SdkBudgetsOfModels, SdkThreshold)
