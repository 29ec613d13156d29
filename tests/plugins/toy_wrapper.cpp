// A published wrapper in one file, with the scorers that it is shown over: of these one that is not there.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

struct ToyWrapper {
    static constexpr evictlab::Info info{.id = "toy_wrapper", .name = "Toy wrapper", .reference = "Toy et al. 2032"};
    static constexpr evictlab::Columns columns{"base_score", "value_norm"};
    static constexpr evictlab::Preset presets[] = {{"paper",
                                                    "as the paper has it",
                                                    {},
                                                    evictlab::Standing::published,
                                                    "toy@paper:share=0.9,toy@mine,not_there@paper"}};

    void score(evictlab::Head<ToyWrapper> head, std::span<double> out) const {
        const auto base = head["base_score"], norm = head["value_norm"];
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = base[i] * norm[i];
    }
};
EVICTLAB_SCORER(ToyWrapper)
