// evolution.json and its journal: the only things that a run needs to go on. This module knows nothing of formulas or
// suites: a run's content is a JSON value that its owner lays out.
//
// Promise: after any crash, kill or power cut the folder holds the last saved generation, or the one that was being
// saved just then, never less; what cannot be read is refused with the reason and never overwritten.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json/json.hpp"
#include "state/file_ops.hpp"

namespace evictlab::state {

/// What happened, which file, what to do. The run's files are as they were.
struct StateError : std::runtime_error {
    /// What there is to do then, which the command words: the run can be resumed, or begun.
    enum class Way : std::uint8_t { none, resume, begin };
    explicit StateError(const std::string& what, Way to_go_on = Way::none) : std::runtime_error(what), way(to_go_on) {}
    Way way;
};

inline constexpr int schema_version = 1;

using evictlab::Json;

/// Reads and checks a state file (schema, checksum) without locking it, for reports; safe while a process saves to it.
/// Gives the content last saved. Throws StateError, also where no generation was saved yet.
Json read_state(const std::filesystem::path& file, FileOps& ops = system_file_ops());

/// The journal's lines up to the saved length, parsed, in order, given to `visit`; as read_state() without locking it.
/// Throws StateError on a journal that is not the saved one, maybe after visiting lines before the damage.
void read_journal(const std::filesystem::path& state_file, const std::function<void(const Json&)>& visit,
                  FileOps& ops = system_file_ops());

/// Every file of a run, whether it is there or not, FILE first.
std::vector<std::filesystem::path> files_of_run(const std::filesystem::path& state_file);

/// The process that has a run open.
struct Holder {
    std::string text;                 ///< "process 12 on host since 2026-01-31T12:00:00Z"; host and time in its words
    std::optional<std::time_t> since; ///< nothing where it did not say
};

/// Nothing where no process has the run open. Keeps nobody away. Throws StateError where the lock file cannot be read.
std::optional<Holder> holder_of(const std::filesystem::path& state_file, FileOps& ops = system_file_ops());

/// A run's files, held under an exclusive lock from create() or resume() until destruction:
///   FILE              the state after the last saved generation, replaced atomically
///   FILE.previous     the state saved before that
///   FILE.journal      one JSON object a line, append-only; the state says how much of it belongs to it, with a hash
///   FILE.lock         locked while a process has the run open; says which
/// (and FILE.tmp and FILE.previous.tmp while saving). What lies at one of these names and is not a run's file, by what
/// it is and how it begins, is refused by name and left as it is; links are not followed. Not thread-safe: one owner.
/// `ops` must outlive the store.
class RunStore {
public:
    /// Starts a new run: refuses where FILE, FILE.previous or a journal exist (it says how to resume), where the folder
    /// is missing or cannot be written, or where another process holds the lock. FILE is made at once, with no content;
    /// what was made goes again when the store is destroyed before a first save. A FILE left without content by a kill
    /// is no obstacle.
    static RunStore create(const std::filesystem::path& file, FileOps& ops = system_file_ops());
    /// Opens a saved run: refuses a damaged, truncated or other-schema file and a journal that is not its own, and says
    /// whether FILE.previous can be used. Journal lines behind the saved length (of a generation that was being made
    /// when the process died) are cut off; they will be made again, to the same bytes.
    static RunStore resume(const std::filesystem::path& file, FileOps& ops = system_file_ops());

    RunStore(RunStore&&) noexcept;
    RunStore& operator=(RunStore&&) noexcept;
    ~RunStore();

    /// The content last saved; null before the first save of a new run, also after resume() of a run that was killed so
    /// early: its owner then starts from the beginning.
    const Json& content() const;
    /// Saves a generation: appends the journal lines and flushes them to disk, then replaces FILE (write beside it,
    /// flush, rename, flush the folder). When it returns, the generation survives a power cut. `content` is an object
    /// (move it in where it is not needed any more), each line a JSON object without line breaks: std::invalid_argument
    /// otherwise. Throws StateError (disk full, folder gone, opened by another host, ...) with the generation saved
    /// before intact; the caller may try again with the same arguments or stop.
    void save(Json content, std::span<const std::string> journal_lines);
    /// The journal's lines up to the saved length, as the free function of that name gives them.
    void read_journal(const std::function<void(const Json&)>& visit) const;
    std::uint64_t journal_bytes() const;
    std::uint64_t journal_lines() const;
    const std::filesystem::path& file() const;
    /// Whether the run was begun by another process: a resumed one, or one that create() found without content.
    bool begun_before() const;

private:
    struct Impl;
    explicit RunStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace evictlab::state
