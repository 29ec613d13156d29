// A published method with uniform budgets that reads the prompt twice. SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <algorithm>

struct ToySecondPass {
    static constexpr evictlab::Info info{
        .id = "toy_second_pass", .name = "Toy", .description = "the second pass alone", .reference = "Toy et al. 2032"};
    static constexpr evictlab::Columns columns{"reconstruction_attn"};
    static constexpr evictlab::Preset presets[] = {{"paper", "as the paper has it", {}, evictlab::Standing::published}};

    void score(evictlab::Head<ToySecondPass> head, std::span<double> out) const {
        std::ranges::copy(head["reconstruction_attn"], out.begin());
    }
};
EVICTLAB_SCORER(ToySecondPass)
