// What the C++ sugar of ABI 1.1 offers: budgets, tensors, columns by parameters, and two rules under one id.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

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
EVICTLAB_SCORER(SdkBudgets, SdkBudgetsOfHeads)
