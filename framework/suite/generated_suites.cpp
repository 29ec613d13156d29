// SPDX-License-Identifier: MIT
#include "framework/suite/generated_suites.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json/json.hpp"
#include "base/option_error.hpp"
#include "framework/suite/synthetic.hpp"

namespace evictlab {
namespace {

using Splits = BySplit<std::vector<TracePtr>>;

constexpr std::array<std::uint64_t, 3> base_seeds{1000, 2000, 3000};

std::string pattern_name(std::string_view suite, Split split, std::size_t i) {
    return fmt::format("{}/{}/{}", suite, to_string(split), i);
}

PatternSpec full_spec(Split split, std::size_t i) {
    const auto s = static_cast<std::size_t>(split);
    const auto part = [i](std::size_t modulus) { return static_cast<double>(i % modulus); };
    PatternSpec spec{pattern_name("full", split, i), PatternStyle::full, base_seeds[s] + i, 0, 32, 0.15, 0.4};
    switch (split) {
    case Split::train:
        spec.seed ^= i;
        spec.seq_len = 256 + 128 * (i % 4);
        spec.sink_strength = 0.1 + 0.1 * part(5) / 4;
        spec.local_strength = 0.3 + 0.2 * part(4) / 3;
        break;
    case Split::valid:
        spec.seed ^= 1000 + i;
        spec.seq_len = 384 + 64 * (i % 3);
        break;
    case Split::test:
        spec.seed ^= 2000 + i;
        spec.seq_len = 512 + 256 * (i % 3);
        spec.num_layers = 24 + 8 * (i % 2);
        break;
    case Split::test_other_model: // never generated
        break;
    }
    return spec;
}

} // namespace

Suite make_micro(const SuiteOptions& o) {
    const Json parameters{{"name", "micro"},
                          {"generator", 1},
                          {"seq_len", o.seq_len.value_or(64)},
                          {"layers", o.num_layers.value_or(4)},
                          {"patterns", o.patterns.value_or(5)},
                          {"seed_offset", o.seed_offset},
                          {"test_seed_offset", o.test_seed_offset}};
    Splits splits;
    for (const Split split : generated_splits) {
        const auto s = static_cast<std::size_t>(split);
        const std::uint64_t offset = o.seed_offset + (split == Split::test ? o.test_seed_offset : 0);
        for (std::size_t i = 0; i < o.patterns.value_or(5); ++i)
            splits[s].push_back(
                make_pattern({pattern_name("micro", split, i), PatternStyle::micro, base_seeds[s] + offset + i,
                              o.seq_len.value_or(64), o.num_layers.value_or(4), 0.15, 0.4}));
    }
    return {"micro", parameters.dump(), std::move(splits)};
}

std::string option_of_micro(const SuiteOptions& o) {
    if (o.seq_len) return "seq_len";
    if (o.num_layers) return "layers";
    if (o.seed_offset) return "seed_offset";
    return o.test_seed_offset ? "test_seed_offset" : "";
}

Suite make_full(const SuiteOptions& o) {
    if (const std::string option = option_of_micro(o); !option.empty())
        throw OptionError(option,
                          "belongs to suite 'micro': of 'full', whose sizes and seeds are fixed, only the number "
                          "of patterns can be chosen");
    constexpr std::array<std::size_t, 3> published{20, 10, 10};
    const Json parameters{
        {"name", "full"}, {"generator", 1}, {"patterns", std::min<std::size_t>(o.patterns.value_or(20), 20)}};
    Splits splits;
    for (const Split split : generated_splits) {
        const auto s = static_cast<std::size_t>(split);
        for (std::size_t i = 0; i < std::min(published[s], o.patterns.value_or(published[s])); ++i)
            splits[s].push_back(make_pattern(full_spec(split, i)));
    }
    return {"full", parameters.dump(), std::move(splits)};
}

} // namespace evictlab
