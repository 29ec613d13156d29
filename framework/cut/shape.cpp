// SPDX-License-Identifier: MIT
#include "framework/cut/shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/option_error.hpp"
#include "base/text/suggestion.hpp"

namespace evictlab {
namespace {

constexpr std::array<std::string_view, 3> granularities{"head", "layer", "model"};
constexpr std::array<std::string_view, 4> joins{"mean", "max", "rank", "share"};
constexpr std::array<std::string_view, 2> block_scores{"mean", "max"};

template <class Kind>
Kind named(const char* option, const char* what, const std::string& name, std::span<const std::string_view> names) {
    if (const auto at = std::ranges::find(names, name); at != names.end()) return static_cast<Kind>(at - names.begin());
    const std::vector<std::string> all(names.begin(), names.end());
    throw OptionError(option, fmt::format("is '{}'{}", name, text::what_there_is(name, all, what)));
}

} // namespace

std::string_view to_string(Granularity granularity) { return granularities[static_cast<std::size_t>(granularity)]; }
std::string_view to_string(Join join) { return joins[static_cast<std::size_t>(join)]; }
std::string_view to_string(BlockScore score) { return block_scores[static_cast<std::size_t>(score)]; }

Granularity granularity_named(const std::string& name) {
    return named<Granularity>("granularity", "granularity", name, granularities);
}
Join join_named(const std::string& name) { return named<Join>("join", "way to join", name, joins); }
BlockScore block_score_named(const std::string& name) {
    return named<BlockScore>("block_score", "score of blocks", name, block_scores);
}

void check_shape(const Shape& shape) {
    if (shape.block == 0 || shape.block > longest_block)
        throw OptionError("block", fmt::format("is {}, but must be from 1 to {}", shape.block, longest_block));
    for (const auto& [name, tokens] : {std::pair{"sinks", shape.sinks}, std::pair{"recent", shape.recent}})
        if (tokens > most_protected)
            throw OptionError(name, fmt::format("is {}, but must be from 0 to {}", tokens, most_protected));
}

std::string in_words(const Shape& shape) {
    constexpr std::array sets{"a set for each KV head", "one set for all heads of a layer",
                              "one set for all layers and heads"};
    std::string words = sets[static_cast<std::size_t>(shape.granularity)];
    if (shape.granularity != Granularity::head) words += fmt::format(", scores joined by {}", to_string(shape.join));
    if (shape.block > 1)
        words += fmt::format("; blocks of {} tokens{}", shape.block,
                             shape.block_score == BlockScore::max ? ", by their best one" : "");
    if (shape.sinks > 0 && shape.recent > 0)
        words += fmt::format("; the first {} and the last {} tokens stay", shape.sinks, shape.recent);
    else if (shape.sinks + shape.recent > 0)
        words += fmt::format("; the {} {} tokens stay", shape.sinks > 0 ? "first" : "last", shape.sinks + shape.recent);
    return words;
}

std::size_t kept_blocks(std::size_t n, std::size_t kept, const Shape& shape) {
    if (kept >= n) return block_count(n, shape);
    return kept == 0 ? 0 : std::max<std::size_t>(1, kept / shape.block);
}

bool is_protected(std::size_t n, std::size_t b, const Shape& shape) {
    const std::size_t first = b * shape.block, end = std::min(n, first + shape.block);
    return first < shape.sinks || end + shape.recent > n;
}

std::size_t protected_blocks(std::size_t n, const Shape& shape) {
    std::size_t count = 0;
    for (std::size_t b = 0; b < block_count(n, shape); ++b) count += is_protected(n, b, shape) ? 1 : 0;
    return count;
}

std::string too_few(std::size_t n, std::size_t kept, const Shape& shape) {
    const std::size_t blocks = kept_blocks(n, kept, shape), needed = protected_blocks(n, shape);
    if (needed <= blocks) return "";
    std::string held;
    if (shape.block > 1) held = fmt::format(", which lie in {} blocks of {},", needed, shape.block);
    return fmt::format("the first {} and the last {} of {} tokens{} are to stay in any case, and only {} {} kept: keep "
                       "more, or protect fewer",
                       shape.sinks, shape.recent, n, held, shape.block > 1 ? blocks : kept,
                       shape.block > 1 ? (blocks == 1 ? "block is" : "blocks are")
                                       : (kept == 1 ? "token is" : "tokens are"));
}

} // namespace evictlab
