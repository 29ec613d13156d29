// The client of protocol evictlab-judge/1: an external process that evicts inside the real model and says what it
// costs there, as KL divergences. docs/verdict.md defines the protocol. SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/input/stop_signal.hpp"
#include "evolution/external/json_process.hpp"
#include "framework/cut/shape.hpp"
#include "state/answer_journal.hpp"

namespace evictlab::evolution {

/// What the judge can be asked about: documents of the training and validation splits.
struct JudgeDocument {
    std::string name;  ///< "smollm2-full/valid/emma"
    std::string kind;  ///< "prose"
    std::string split; ///< "train" or "valid"
};

struct ModelQuestion {
    std::string scorer; ///< any text that --scorers takes for one scorer; a formula begins with "="
    std::vector<std::string> documents;
};

struct ModelAnswer {
    std::vector<std::vector<double>> kl; ///< [document][retention], nats a token, as asked; empty where it failed
    std::string failure;                 ///< "" where every document was answered
};

/// Of the file beside a run's state that keeps what its judge answered.
inline constexpr const char* verdicts_ending = ".verdicts";

struct JudgeOptions {
    std::string command;               ///< for sh -c
    std::vector<double> retentions;    ///< of all questions
    std::chrono::milliseconds timeout; ///< of silence while something is asked, or at the start
    Shape shape{};                     ///< of all questions, too
    std::vector<std::size_t> keep{};   ///< likewise: numbers of tokens, whose names the retentions are
};

/// Starts the process at the first question that the journal does not answer. Every document of a question is asked,
/// answered and journalled by itself. Up to 8 are under way at once, or as many as the judge says that it takes in
/// parallel, if those are more; what a run makes of the answers does not depend on it.
///
/// A judge that dies is started again once and asked what it left open. It is lost where it dies again, is silent
/// beyond the timeout or answers nonsense; that is journalled, so that whatever the journal does not answer fails from
/// then on, in this invocation and on resume. A judge that does not even introduce itself when an invocation first
/// needs it is an Error (a wrong command, most likely), and nothing is journalled of that; so is one whose identity or
/// documents are not those of the journal.
///
/// Not thread-safe. The journal must outlive it. Throws Error, state::StateError, or Interrupted, which ends the
/// process; what was answered until then is kept.
class VerdictJudge {
public:
    VerdictJudge(JudgeOptions options, state::AnswerJournal& journal);

    /// Model, weights and suite in the judge's own words.
    std::string identity(const StopSignal& stop);
    /// In the judge's order. `split` is "train" or "valid".
    std::vector<JudgeDocument> documents(std::string_view split, const StopSignal& stop);
    /// One verdict a question, in order.
    std::vector<ModelAnswer> ask(std::span<const ModelQuestion> questions, const StopSignal& stop);

    /// Documents of scorers that were answered in the run so far, failures included.
    std::size_t answers() const;
    /// Why, in words; "" while it is not. It was lost at some time of the run, maybe in an earlier invocation.
    std::string lost() const;
    /// A lost judge may be asked anew, by a new process. What it answered stays; what failed because it was lost is
    /// open again. Journalled.
    void forgive();

private:
    struct Request {
        std::string scorer, document;
    };
    using UnderWay = std::map<std::uint64_t, Request>; ///< by id, so the oldest is the first
    void start(const StopSignal& stop);
    void check_heeded(const Json& introduction) const;
    void check_identity(const Json& introduction);
    const Json& introduction(const StopSignal& stop);
    std::string key_of(std::string_view scorer, std::string_view document) const;
    std::deque<Request> open_requests(std::span<const ModelQuestion> questions) const;
    void exchange(std::deque<Request> waiting, const StopSignal& stop);
    void send_some(std::deque<Request>& waiting, UnderWay& under_way);
    void take(const Json& answer, UnderWay& under_way);
    void lose(const std::string& why, const Request& at);
    ModelAnswer verdict_of(const ModelQuestion& question) const;

    JudgeOptions options_;
    state::AnswerJournal& journal_;
    std::unique_ptr<JsonProcess> process_;
    bool introduced_ = false; ///< in this invocation
    int restarts_left_ = 1;
    std::uint64_t last_id_ = 0;
    std::size_t most_under_way_ = 0; ///< of the process that runs
};

} // namespace evictlab::evolution
