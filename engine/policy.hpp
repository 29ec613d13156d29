// Ways to make a full cache smaller: a scorer's, or what llama.cpp does by itself. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/eviction.hpp"
#include "engine/spent.hpp"

namespace evictlab::engine {

struct Costs {
    std::size_t evictions = 0;
    Spent scoring, rewriting; ///< choosing tokens; reading, writing and restoring the state
    Costs& operator+=(const Costs& other) {
        evictions += other.evictions;
        scoring += other.scoring;
        rewriting += other.rewriting;
        return *this;
    }
};

/// Immutable: several sequences may use one.
class Policy {
public:
    virtual ~Policy() = default;
    virtual std::string text() const = 0;
    virtual std::string hash() const = 0;      ///< of all that decides; "" of what has none
    virtual std::uint64_t queries() const = 0; ///< the latest ones that must have been recorded
    /// Whether it is asked again as if cached tokens were all there ever were (Scorer::Gaps::places).
    virtual bool by_places() const { return false; }

    /// What stays of what is cached.
    virtual KeptCells choose(const Cached& cached, const Budget& budget) const = 0;
    /// `to` becomes what is cached with these cells alone.
    virtual void begin(Sequence& to, const Cached& from, const KeptCells& kept) const = 0;
    /// Makes the sequence smaller, in its place. Throws Error; then the sequence is as it was, or holds nothing.
    virtual void evict(Sequence& sequence, std::size_t keep, Costs& costs) const = 0;
};

/// By the scores of libevictlab.
class ScorerPolicy final : public Policy {
public:
    /// UsageError where the scorer is refused (check_scorer). `again`: whether it will be asked more than once.
    ScorerPolicy(Scorer scorer, const Cut& cut, bool again);

    std::string text() const override { return scorer_.text(); }
    std::string hash() const override { return scorer_.hash(); }
    std::uint64_t queries() const override { return scorer_.needs().queries; }
    bool by_places() const override { return carried_.of_cells; }
    KeptCells choose(const Cached& cached, const Budget& budget) const override;
    void begin(Sequence& to, const Cached& from, const KeptCells& kept) const override;
    void evict(Sequence& sequence, std::size_t keep, Costs& costs) const override;

private:
    Scorer scorer_;
    Cut cut_;
    Carried carried_; ///< none where it is not asked again
};

/// llama.cpp's own context shift: the oldest tokens go behind the first n_keep, and those that are left move to their
/// positions (llama_memory_seq_rm and llama_memory_seq_add), so that positions are not the text's any more.
class ContextShift final : public Policy {
public:
    static constexpr const char* name = "context_shift";
    /// Whether the text names one: "context_shift", "context_shift:n_keep=4".
    static bool is_named_by(const std::string& text);
    /// UsageError where the text is wrong, or the model's context cannot be shifted.
    ContextShift(const std::string& text, const Model& model);

    std::string text() const override { return text_; }
    std::string hash() const override { return ""; }
    std::uint64_t queries() const override { return 0; }
    KeptCells choose(const Cached& cached, const Budget& budget) const override;
    void begin(Sequence& to, const Cached& from, const KeptCells& kept) const override;
    void evict(Sequence& sequence, std::size_t keep, Costs& costs) const override;

private:
    /// Of the first tokens, no more than what is kept but one.
    std::size_t first_of(std::size_t keep) const;

    std::string text_;
    std::size_t n_keep_ = 0;
};

} // namespace evictlab::engine
