// How OpenVINO GenAI (its repository at da1db86) cuts a cache while decoding: it notes what tokens receive at every
// step, and evicts after it. Which blocks go is decided by the code of its plugins. SPDX-License-Identifier: MIT
#pragma once
#include <deque>
#include <functional>
#include <string_view>

#include "plugins/openvino_adaptive.hpp"
#include "plugins/openvino_kvcrush.hpp"

namespace evictlab::test {

/// As the original names it: "MEAN".
OpenVinoAnchor openvino_anchor_named(std::string_view name);

/// One object a layer. Not thread-safe.
class OpenVinoDecoding {
public:
    enum class Mode : std::uint8_t { sum, norm_sum, adaptive_rkv };
    struct Options {
        Mode mode = Mode::norm_sum;
        OpenVinoAreas areas{32, 128, 672, 32};
        std::size_t snapkv = 8; ///< latest queries of the prompt that count; 0: all
        std::size_t pool = 7;
        std::size_t crush_budget = 0;
        OpenVinoAnchor anchor = OpenVinoAnchor::mean;
        double attention_mass = 0.9;
        std::size_t rkv_window = 8; ///< steps whose mean counts
    };
    explicit OpenVinoDecoding(Options options) : options_(options) {}

    /// What each cached token received in a step, summed over its counted queries and the layer's query heads: of the
    /// prompt, or a part of it, those among the `snapkv` last, then each. `counted` is only read where there is a
    /// window of the prompt.
    void add(std::span<const double> received, std::size_t counted);
    /// Of Adaptive R-KV: as openvino_adaptive() has it.
    using Diversity = std::function<std::vector<double>(std::span<const std::size_t> others)>;
    /// Numbers of the cache's blocks that go now, ascending.
    OpenVinoBlockList evict(const Diversity& diversity = {});

    /// Of the tokens behind the areas' start.
    std::span<const double> sums() const { return sums_; }
    std::span<const std::size_t> counters() const { return counters_; }

private:
    void count(std::size_t added, std::size_t counted);
    std::vector<double> latest_mean() const;
    OpenVinoBlockList leaving(OpenVinoAreas::Candidates candidates, const Diversity& diversity) const;

    Options options_;
    std::vector<double> sums_;
    std::vector<std::size_t> counters_;
    std::deque<std::vector<double>> latest_; ///< of Adaptive R-KV: steps since the last eviction
    std::size_t registered_ = 0;             ///< queries of the prompt's window so far
};

} // namespace evictlab::test
