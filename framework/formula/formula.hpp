// Formulas: expressions over columns and constants, stored in postfix order so that a subtree is a contiguous range
// (the layout of Operon's trees). This header is the value type and its text; evaluating is in program.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::formula {

/// docs/formulas.md tells users what each computes, and how it is protected where its domain ends.
enum class Op : std::uint8_t {
    constant,
    column,
    keep,
    drop, // leaves; keep is +inf, drop is -inf
    neg,
    exp,
    log,
    sqrt,
    abs,
    tanh, // one operand
    add,
    sub,
    mul,
    div,
    pow,
    min,
    max,
    lt,
    le,
    gt,
    ge,
    eq,     // two; comparisons give 1 or 0
    select, // three: if(condition, a, b)
};
std::size_t arity(Op op);

struct Node {
    Op op = Op::constant;
    ColumnId column = 0;      ///< of Op::column
    std::uint32_t length = 1; ///< nodes of the subtree that ends here, this one included
    double value = 0;         ///< of Op::constant; always finite
    bool operator==(const Node&) const = default;
};

/// A value, and for threads as any is: nodes in postfix order, the root last. Never empty once made by those below.
class Formula {
public:
    Formula() = default;
    /// Takes nodes in postfix order; sets every length. Throws Error if they are not one expression.
    explicit Formula(std::vector<Node> nodes);

    std::span<const Node> nodes() const { return nodes_; }
    std::size_t size() const { return nodes_.size(); }
    bool empty() const { return nodes_.empty(); }
    std::size_t depth() const;
    /// First node of the subtree whose root is at `root`.
    std::size_t subtree_begin(std::size_t root) const { return root + 1 - nodes_[root].length; }
    /// This formula with the subtree rooted at `root` replaced.
    Formula with_subtree(std::size_t root, std::span<const Node> replacement) const;
    Formula subtree(std::size_t root) const;
    /// The constants in node order, and the formula with others in their place.
    std::vector<double> constants() const;
    Formula with_constants(std::span<const double> values) const;
    std::vector<ColumnId> columns() const; ///< sorted, without repetition
    bool operator==(const Formula&) const = default;

private:
    std::vector<Node> nodes_;
};

/// What is wrong with a formula's text, where, and a caret under the place.
struct ParseError : UsageError {
    ParseError(std::string_view text, std::size_t offset, const std::string& what);
    std::size_t offset; ///< in characters from the start of the text, 0-based
};

struct Limits {
    std::size_t nodes = 4096;
    std::size_t depth = 256; ///< of nesting, so that hostile text cannot exhaust the stack
};

/// `0.6*recent_attn + if(position < 4, keep, 0)`; '#' starts a comment that runs to the end of its line.
/// Throws ParseError.
Formula parse(std::string_view text, const Limits& limits = {});
/// The text of a .formula file, of at most 4 MiB. Throws UsageError where it cannot be read.
std::string read_formula_file(const std::filesystem::path& file);
/// Shortest text that parses back to exactly this formula, with the fewest parentheses.
std::string print(const Formula& formula);
/// Several lines that tell a reader what the formula does, column by column.
std::string explain(const Formula& formula);

/// One representative of all formulas that are equal by folding constants and by commuting and re-associating
/// + * min max (and by neutral elements: x+0, x*1, --x, x-c = x+(-c)). Idempotent. Scores of the two agree to rounding.
Formula canonical(const Formula& formula);
/// 16 hexadecimal digits over the canonical form's text: equal for equal formulas, on every machine.
std::string canonical_hash(const Formula& formula);

} // namespace evictlab::formula
