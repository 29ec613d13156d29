// What a run's outside partners (a judge, a proposer) answered, remembered in a file beside the state, so that resuming
// asks nothing twice and gives the same bits: failures are remembered too.
//   {"format":"evictlab-exchanges/2"}
//   {"key":"...","answer":...,"chain":"..."}    one line an answer, append-only, flushed to disk before it is used
// The chain is the SHA-256 of the chain before and of the line up to its own: a line that was edited, lost or moved is
// noticed. That of the first is over all the text before; in a file of format 1, which knew none, that may be many
// lines. It does not belong to a generation, unlike RunStore's journal: an answer counts from the moment it was given,
// also where the generation that asked was never saved. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>

#include "state/store.hpp"

namespace evictlab::state {

/// Keys are any text in UTF-8, answers any JSON. Not thread-safe: one owner, which holds the run's lock (RunStore).
/// `ops` must outlive it. Throws StateError.
class AnswerJournal {
public:
    /// Of a new run: refused where there is a file of this name. It is made with the first answer.
    static AnswerJournal create(const std::filesystem::path& file, FileOps& ops = system_file_ops());
    /// Of a run to go on with: no file is an empty journal. A last line that a kill or a power cut left unfinished is
    /// cut off; a file of another format or damage before its last line is refused, and nothing is changed.
    static AnswerJournal resume(const std::filesystem::path& file, FileOps& ops = system_file_ops());

    /// Null where there is no answer yet. Valid until the same key is remembered anew.
    const Json* find(std::string_view key) const;
    /// When it returns, the answer survives a power cut. Of two answers to one key the later counts. After an Error the
    /// answer is not remembered, and remembering may be tried again.
    void remember(const std::string& key, Json answer);
    std::size_t size() const { return answers_.size(); }
    const std::filesystem::path& file() const { return file_; }

private:
    AnswerJournal(std::filesystem::path file, FileOps& ops) : file_(std::move(file)), ops_(&ops) {}
    void load(std::string_view text);
    void read_line(std::string_view line, const std::string& where);
    void append(std::string line);

    std::filesystem::path file_;
    FileOps* ops_;
    std::uint64_t bytes_ = 0; ///< of the whole lines; what stands behind them is cut before the next is written
    std::string chain_;       ///< over these lines
    bool chained_ = false;    ///< whether the last of them has one
    std::unordered_map<std::string, Json> answers_;
};

} // namespace evictlab::state
