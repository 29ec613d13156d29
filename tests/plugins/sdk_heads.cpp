// What the C++ sugar offers a scorer of one head at a time: every kind of parameter, prepare(), errors by exception.
// SPDX-License-Identifier: MIT
#include <evictlab/scorer.hpp>

#include <stdexcept>
#include <string>
#include <vector>

struct SdkHeads {
    double scale = 2;
    int offset = 3;
    bool refuse = false;
    std::vector<double> table; // made by prepare(): a scorer may own memory

    static constexpr evictlab::Info info{.id = "sdk_heads", .name = "SDK heads", .deterministic = false};
    static constexpr evictlab::Columns columns{"key_norm", "layer_ratio"};
    static constexpr evictlab::Parameter<SdkHeads> parameters[] = {
        {&SdkHeads::scale, {.key = "scale", .help = "0 makes prepare() throw", .min = 0, .max = 8}},
        {&SdkHeads::offset, {.key = "offset", .min = -8, .max = 8, .evolvable = false}},
        {&SdkHeads::refuse, {.key = "refuse", .help = "score() throws"}}};
    static constexpr evictlab::Preset presets[] = {{"big", "scale 8", {{"scale", 8}}}};

    void prepare() {
        if (scale == 0) throw std::invalid_argument("scale must not be 0 here");
        table.assign(4, scale);
    }

    void score(evictlab::Head<SdkHeads> head, std::span<double> out) const {
        if (refuse) throw std::runtime_error(std::string(400, 'x'));
        const auto norm = head["key_norm"];
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = table[0] * norm[i] + offset + 100 * static_cast<double>(head.index());
    }
};
EVICTLAB_SCORER(SdkHeads)
