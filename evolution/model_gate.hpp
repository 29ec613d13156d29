// The last gate of a run with a judge: the model itself. The best accepted candidates of a generation are judged by
// their KL divergences on train documents, in heats, and who is below the champion there on valid documents. Promoted
// is who is below the champion on train, and on valid too or within what chance explains; but never against what all
// documents together say. SPDX-License-Identifier: MIT
#pragma once
#include <vector>

#include "evolution/batch.hpp"
#include "evolution/candidate.hpp"
#include "evolution/external/verdict_judge.hpp"
#include "evolution/run_state.hpp"

namespace evictlab::evolution {

/// The judge cannot be asked any more; the generation in flight cannot be finished.
struct JudgeLost : Error {
    using Error::Error;
};

/// Geometric means of KL divergences [document][retention]: by_retention over documents, average over retentions too.
FormulaErrors summarise_verdict(std::vector<std::vector<double>> kl);

/// The mean logarithm of the ratio of two verdicts on the same documents, and its standard error over documents.
struct PairedRatio {
    double mean_log = 0, error = 0;
    double ratio() const;
};
PairedRatio paired_ratio(const FormulaErrors& verdict, const FormulaErrors& other);

/// Not thread-safe. Refers to judge and stop. All throw JudgeLost, or Interrupted where the stop asks for it.
class ModelGate {
public:
    ModelGate(VerdictJudge& judge, const StopSignal& stop) : judge_(judge), stop_(stop) {}
    /// Judges the run's first champion. Error where the judge cannot say anything of it.
    void judge_start(Candidate& start);
    /// Judges at most `count` of a generation's candidates and makes champions of those that pass, in `candidates` and
    /// in the state, of which champions and last_champion_generation change.
    void judge(RunState& state, std::vector<Candidate>& candidates, std::size_t count);
    /// The same for one of them, whatever its offline errors are.
    void judge(RunState& state, Candidate& candidate);
    /// The geometric mean of the ratio of a scorer's KL divergences on train to `champion`'s: of all documents where
    /// it is below 1, else of as many as it took to see that it is not. The race begins at another document in each
    /// round. What the judge cannot tell of counts as far worse.
    double raced_ratio(const std::string& scorer, const FormulaErrors& champion, std::size_t round);

private:
    struct Contender {
        Candidate* candidate = nullptr;
        std::vector<std::vector<double>> kl; ///< [document][retention] so far
        std::string out;                     ///< why it is out; "" while it is not
    };
    std::vector<std::string> documents(SearchSplit split);
    void ask(std::span<Contender> contenders, const std::vector<std::string>& documents);
    void race_on_train(std::vector<Contender>& contenders, const FormulaErrors& champion);
    void judge(RunState& state, std::vector<Contender> contenders);
    void promote(RunState& state, Candidate& candidate);
    std::vector<ModelAnswer> verdicts(std::span<const ModelQuestion> questions);

    VerdictJudge& judge_;
    const StopSignal& stop_;
};

} // namespace evictlab::evolution
