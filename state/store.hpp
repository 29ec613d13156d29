// evolution.json and its journal: the only things that a run needs to go on. This module knows nothing of formulas or
// suites: a run's content is a JSON value that its owner lays out.
//
// Promise: after any crash, kill or power cut the folder holds either the last saved generation or the one before being
// saved now, never less; what cannot be read is refused with the reason and never overwritten.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace evictlab::state {

/// What happened, which file, what to do. The run's files are as they were.
struct StateError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr int schema_version = 1;

/// Insertion order is kept, so that a file is the same bytes for the same content.
using Json = nlohmann::ordered_json;

/// Reads and checks a state file (schema, checksum) without locking it; for reports and `status`. Throws StateError.
Json read_state(const std::filesystem::path& file);

/// A run's files, held under an exclusive lock from create() or resume() until destruction:
///   FILE              the state after the last saved generation, replaced atomically
///   FILE.previous     the state saved before that
///   FILE.journal      one JSON object a line, append-only; the state says how many bytes of it belong to it
///   FILE.lock         locked while a process has the run open; says which
/// Not thread-safe: one owner.
class RunStore {
public:
    /// Starts a new run: refuses where FILE or its journal exists (it says how to resume), where the folder is
    /// missing or cannot be written, or where another process holds the lock.
    static RunStore create(const std::filesystem::path& file);
    /// Opens a saved run: refuses a damaged, truncated or other-schema file. Journal lines behind the saved length (of
    /// a generation that was being made when the process died) are cut off; they will be made again, to the same bytes.
    static RunStore resume(const std::filesystem::path& file);

    RunStore(RunStore&&) noexcept;
    RunStore& operator=(RunStore&&) noexcept;
    ~RunStore();

    /// The content last saved; null before the first save of a new run.
    const Json& content() const;
    /// Saves a generation: appends the journal lines and flushes them to disk, then replaces FILE (write beside it,
    /// flush, rename, flush the folder). When it returns, the generation survives a power cut. Throws StateError (disk
    /// full, folder gone, ...) with the previous generation intact; the caller may try again or stop.
    void save(const Json& content, std::span<const std::string> journal_lines);
    std::uint64_t journal_bytes() const;
    const std::filesystem::path& file() const;

private:
    struct Impl;
    explicit RunStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// The journal's lines up to the saved length, parsed, in order, given to `visit`. Throws StateError on a damaged line.
void read_journal(const std::filesystem::path& state_file, const std::function<void(const Json&)>& visit);

} // namespace evictlab::state
