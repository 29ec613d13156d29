// How eviction is simulated and judged: one layer of one trace at a time, for all scorers at once.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/scorers/scorer.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// What befell scorers while a layer was judged.
struct JudgeHooks {
    const std::atomic<bool>* stop = nullptr;              ///< set from outside: judge() throws Interrupted soon after
    std::function<bool(std::size_t)> skip;                ///< scorers not to run
    std::function<void(std::size_t, PluginError)> failed; ///< told of one that broke, which is then left out
};

/// The figures of one layer: every scorer's, then every bound's.
struct LayerFigures {
    /// A row holds its errors [measure][retention] and, where the protocol keeps a ledger, the tokens
    /// [kept, cached][retention], summed over heads.
    std::vector<double> values;
    /// [row][retention][Protocol::responses()], to be summed over layers (ContinuationDamage::respond).
    std::vector<float> responses;
    /// [row][retention]: ScorecardRow::continuation_kept of this layer; empty where the protocol has no such figure.
    std::vector<double> continuation_kept{};
};
/// The measure whose line in `values` is empty: it is predicted_kl() of the responses.
inline constexpr std::string_view responses_measure = "predicted_kl";

/// Refers to scorers and retentions, which must outlive it. judge() is thread-safe.
class Protocol {
public:
    virtual ~Protocol() = default;
    virtual std::string_view name() const = 0;
    virtual std::vector<std::string> bounds() const = 0;   ///< names of rows that no scorer can have
    virtual std::vector<std::string> measures() const = 0; ///< the primary one first
    virtual bool keeps_ledger() const = 0;
    /// Responses of one row at one retention; 0 where the protocol does not measure predicted_kl.
    virtual std::size_t responses(const Trace&) const { return 0; }
    /// Whether the scorer's heads or layers may keep different numbers of tokens.
    virtual bool uneven(std::size_t row) const = 0;
    /// Tries create() of every scorer; what fails lands in `failures` by scorer. Called once, before judge().
    virtual void create_instances(std::map<std::size_t, PluginError>& failures) = 0;
    /// Ends those that are left, behind the last judge(); what fails is added. Called once.
    virtual void end_instances(std::map<std::size_t, PluginError>& failures) = 0;
    virtual LayerFigures judge(const Trace& trace, std::size_t layer, const JudgeHooks& hooks) const = 0;
    /// Relative cost of judge(), for the order of work and for progress.
    virtual double cost(const Trace& trace) const = 0;
};

/// Does `step` for each of `count` scorers; one that throws PluginError lands in `failures` and stops no other.
template <class Step>
void for_each_scorer(std::size_t count, std::map<std::size_t, PluginError>& failures, Step&& step) {
    for (std::size_t s = 0; s < count; ++s) {
        try {
            step(s);
        } catch (const PluginError& error) {
            failures.emplace(s, error);
        }
    }
}

/// The columns of all scorers, ascending and without repetition.
std::vector<ColumnId> columns_of(std::span<const Scorer> scorers);

/// "rescore" for synthetic suites, "prefill" for captured ones.
std::string_view usual_protocol(const Suite& suite);
std::vector<double> usual_retentions(std::string_view protocol);
/// Throws UsageError for an unknown name, or one that the suite cannot be run by.
void check_protocol(std::string_view protocol, const Suite& suite);
/// Why the scorer cannot be run on the suite by the protocol ("asks for column ..."), or "".
std::string refusal(const Scorer& scorer, const Suite& suite, std::string_view protocol);

/// `interval`: queries between cuts, for decode. `only`: leave out the work for all measures but this one and attention
/// loss; "": for none. Throws UsageError.
std::unique_ptr<Protocol> make_protocol(std::string_view name, const Suite& suite, std::span<const Scorer> scorers,
                                        std::span<const double> retentions, std::size_t interval = 1,
                                        std::string_view only = "");

} // namespace evictlab
