// In which class of methods a scorer is: what it reads of the queries, how it divides the budget, how often it reads
// the prompt. All of it follows from its columns and from what its plugin is, a wrapper's base included.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "framework/columns/column.hpp"

namespace evictlab {

class Scorer;

/// How a row may divide its budget, each kind being free to do what those before it do. Rows compete within a kind.
enum class BudgetKind : std::uint8_t {
    uniform, ///< every head keeps as many
    head,    ///< heads of a layer share what is the same for all layers
    layer,   ///< some layers keep more than others; each decides alone
    model,   ///< layers and heads share the whole model's budget
};

struct ScorerClass {
    std::size_t attention = 0; ///< latest queries of whose attention it reads; all_history: of all; 0: none
    bool all_queries = false;  ///< reads all queries by themselves (mean, covariance, ...), and not all attention
    bool tensors = false;      ///< else nothing is known: a plugin that is given queries, keys and values themselves
    bool layer_budgets = false, head_budgets = false, model_budgets = false;
    unsigned passes = 1;     ///< over the prompt
    bool calibrated = false; ///< on other texts

    /// Whether the attention of certain queries decides, as that of those which a prompt ends with; nothing where only
    /// the plugin knows.
    std::optional<bool> query_aware() const;
    /// Whether kernels that never give all rows of attention will do. A few rows can be computed again.
    bool fused_attention() const { return attention != all_history; }
    /// "kv": nothing of queries, keys and values at most; "q64": the attention of the last 64 queries; "all q"; "all
    /// attn"; "q64 + all q"; "qkv" of `tensors` alone; "2nd pass", by itself or behind these.
    std::string reads() const;
    BudgetKind budget_kind() const;
    std::string budgets() const; ///< "uniform", "layer", "head", "head and layer", "model"
    bool operator==(const ScorerClass&) const = default;
};

/// Thread-safe. Of a wrapper without a base: what it adds to its base's.
ScorerClass class_of(const Scorer& scorer);

/// Sets what ScorerClass::reads() says; nothing for any other text.
std::optional<ScorerClass> class_that_reads(std::string_view reads);

/// "query-aware, one pass, not calibrated, uniform budgets, with fused attention; reads the attention of the last 64
/// queries".
std::string in_words(const ScorerClass& scorer);

} // namespace evictlab
