// The client of protocol evictlab-proposer/1: an external process, a language model say, that proposes candidates.
// docs/proposers.md defines the protocol. SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/input/stop_signal.hpp"
#include "evolution/external/json_process.hpp"
#include "framework/formula/formula.hpp"
#include "state/answer_journal.hpp"

namespace evictlab::evolution {

struct ProposerColumn {
    std::string name; ///< with its parameters: "window_attn:64"
    std::string help;
};

/// A champion as the proposer is shown it.
struct ProposerChampion {
    std::string id, formula, hypothesis, op; ///< `op` is "operator" in JSON
    double train = 0, valid = 0;
    struct Document {
        std::string name;
        std::vector<double> errors; ///< by retention
    };
    std::vector<Document> documents;
};

struct ProposerRejection {
    std::string id, formula, hypothesis, reason;
};

struct ProposalRequest {
    std::uint32_t generation = 0;
    std::uint32_t wanted = 0;
    std::string suite, measure;
    std::vector<double> retentions;
    std::uint32_t max_nodes = 60;
    std::vector<ProposerColumn> columns;     ///< all that a proposal may read
    std::vector<ProposerChampion> champions; ///< the last one is the present champion
    std::vector<ProposerRejection> rejected; ///< this proposer's own, of its last proposals, then others
};

Json to_json(const ProposerRejection& rejection);
ProposerRejection rejection_from_json(const JsonField& field);

/// The request's JSON, without "id".
Json to_json(const ProposalRequest& request);

struct Proposal {
    std::string text;                        ///< as it was proposed, made plain: "" where it was no text
    std::optional<formula::Formula> formula; ///< nothing where it cannot be a candidate
    std::string hypothesis;                  ///< a text::sentence of at most 500 characters
    std::string reason;                      ///< why it cannot be a candidate; "" where it can
};

struct Proposals {
    std::string proposer;            ///< who, in its own words; "" where it never introduced itself
    std::vector<Proposal> proposals; ///< at most as many as were wanted, and a rejected one for each line of garbage
    std::string failure;             ///< why there is no answer; "" where there is one
};

/// Of the file beside a run's state that keeps what its proposer answered: one answer a generation.
inline constexpr const char* proposals_ending = ".proposals";

struct ProposerOptions {
    std::string command;               ///< for sh -c
    std::chrono::milliseconds timeout; ///< for the introduction, and for an answer
    bool forgive = false;              ///< its failures so far, as where somebody names it anew
};

/// Starts the process at the first request that the journal does not answer. One request a generation, journalled by
/// the generation's number, failures included. Death, silence and garbage in the place of an introduction cost that
/// generation's proposals; the process is started again at the next request, until it has failed 4 times in the run.
/// The journal counts, so that a run that was stopped asks as often as one that was not.
///
/// Not thread-safe. The journal must outlive it. Throws Error (no shell, a damaged journal), state::StateError, or
/// Interrupted, which ends the process and journals nothing.
class Proposer {
public:
    Proposer(ProposerOptions options, state::AnswerJournal& journal);
    Proposals propose(const ProposalRequest& request, const StopSignal& stop);

private:
    std::uint64_t failures_before(std::uint32_t generation) const;

    Json ask(const ProposalRequest& request, const StopSignal& stop, std::uint64_t failures);
    void answer_to(const ProposalRequest& request, Json& kept, const StopSignal& stop);
    void start(const StopSignal& stop, std::uint64_t failures);

    ProposerOptions options_;
    state::AnswerJournal& journal_;
    std::unique_ptr<JsonProcess> process_;
    std::string who_;
};

} // namespace evictlab::evolution
