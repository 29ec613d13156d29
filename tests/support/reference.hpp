// The slow, obvious evaluator: docs/benchmark.md line by line, in double precision, sharing no code with the framework.
// It is the judge of the fast one.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace reference {

/// ChaCha with 12 rounds, a word at a time.
class Generator {
public:
    explicit Generator(std::uint64_t seed);
    std::uint32_t u32();
    std::uint64_t u64();
    double uniform();
    std::uint32_t below(std::uint32_t n);
    void shuffle(std::vector<std::size_t>& a);

private:
    std::uint32_t key_[8];
    std::uint64_t block_ = 0;
    std::vector<std::uint32_t> words_;
    std::size_t used_ = 0;
};

struct Pattern {
    std::size_t seq_len = 0, num_layers = 0;
    std::vector<std::vector<std::vector<double>>> attention; ///< [layer][query][key]
    std::vector<std::vector<double>> key_norm;               ///< [layer][position]
    std::vector<int> token_type;
    std::vector<std::size_t> dense; ///< sorted
};

Pattern micro_pattern(std::uint64_t seed, std::size_t seq_len, std::size_t num_layers);
Pattern full_pattern(std::uint64_t seed, std::size_t seq_len, std::size_t num_layers, double sink, double local);

/// What a scorer sees of one token.
struct Token {
    double position, relative_pos, sequence_len, cumulative_attn, recent_attn, attn_entropy, key_norm, token_type;
    double layer_idx, num_layers, layer_ratio, is_sink;
    double value(const std::string& column) const;
};

using Rule = std::function<double(const Token&)>;

/// The original's scorers by their names in tests/data/expected (section 5 of docs/benchmark.md).
const std::map<std::string, Rule>& rules();

/// Error of a rule on a pattern; the rule named "oracle" by an empty function.
double error(const Pattern& pattern, const Rule& rule, double retention);

} // namespace reference
