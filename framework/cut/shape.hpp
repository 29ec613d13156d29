// The grain at which an engine can evict: who shares a set of kept tokens, in blocks of how many, and which are never
// asked about. docs/shapes.md defines every part. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace evictlab {

/// Who shares one set of kept tokens: nobody, each KV head having its own; the heads of a layer; all of the model.
enum class Granularity : std::uint8_t { head, layer, model };

/// How the scores of those who share a set become one for each token (join.hpp).
enum class Join : std::uint8_t { mean, max, rank, share };
inline constexpr Join usual_join = Join::mean;

/// A block's score from those of its tokens. `sum` is for bounds, whose scores are shares of attention: what a block
/// holds.
enum class BlockScore : std::uint8_t { mean, max, sum };

struct Shape {
    Granularity granularity = Granularity::head;
    Join join = usual_join; ///< of no use to Granularity::head
    std::size_t block = 1;  ///< tokens, that are kept or evicted together; aligned at its multiples
    BlockScore block_score = BlockScore::mean;
    std::size_t sinks = 0, recent = 0; ///< the first and the last tokens, which are kept before all others

    bool operator==(const Shape&) const = default;
    /// Each head keeps its own tokens, one by one, by their scores alone.
    bool usual() const { return granularity == Granularity::head && cuts_tokens(); }
    /// Whether the cut is by the scores of single tokens and nothing else.
    bool cuts_tokens() const { return block == 1 && sinks == 0 && recent == 0; }
};

inline constexpr std::size_t longest_block = 65536, most_protected = 1U << 20U;

std::string_view to_string(Granularity granularity);
std::string_view to_string(Join join);
std::string_view to_string(BlockScore score); ///< "mean" or "max"
/// OptionError, of "granularity", "join" and "block_score", where there is no such one.
Granularity granularity_named(const std::string& name);
Join join_named(const std::string& name);
BlockScore block_score_named(const std::string& name);

/// OptionError where a number is out of its range: blocks of 1 to longest_block, at most most_protected sinks and
/// recent tokens each.
void check_shape(const Shape& shape);

/// "one set for all layers and heads, scores joined by rank; blocks of 16; the first 4 and the last 32 tokens stay".
std::string in_words(const Shape& shape);

/// Blocks of n tokens; the last one may be short.
constexpr std::size_t block_count(std::size_t n, const Shape& shape) { return (n + shape.block - 1) / shape.block; }
/// Blocks that K of n tokens are: none of none, all of n, else K rounded down to whole blocks, and at least one.
std::size_t kept_blocks(std::size_t n, std::size_t kept, const Shape& shape);
/// Whether block b holds a token that is protected.
bool is_protected(std::size_t n, std::size_t b, const Shape& shape);
std::size_t protected_blocks(std::size_t n, const Shape& shape);
/// Why K of n tokens cannot be kept: the blocks that hold protected tokens are more. "" where they can.
std::string too_few(std::size_t n, std::size_t kept, const Shape& shape);

} // namespace evictlab
