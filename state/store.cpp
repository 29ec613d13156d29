// SPDX-License-Identifier: MIT
#include "state/store.hpp"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <tuple>
#include <utility>

#include "base/text/quoting.hpp"
#include "state/document.hpp"
#include "state/files.hpp"
#include "state/journal.hpp"
#include "state/lock.hpp"
#include "state/own_files.hpp"

namespace evictlab::state {
namespace fs = std::filesystem;

/// By which a file is known again; nothing where there is none.
using FileStamp = std::optional<std::tuple<off_t, std::time_t, long>>;

struct RunStore::Impl {
    FileOps& ops;
    RunPaths paths;
    Lock lock;
    Document saved;
    FileStamp stamp;                                ///< of FILE as this process read or wrote it
    bool is_new = false;                            ///< by create(), and nothing saved since
    bool found_file = false, found_journal = false; ///< before create()
    bool unflushed = false; ///< the last rename may not survive a power cut, so nothing is built upon it

    Impl(FileOps& given_ops, const RunPaths& given_paths)
        : ops(given_ops), paths(given_paths), lock(given_ops, given_paths) {}
    ~Impl() {
        if (is_new) undo();
    }
    void undo() noexcept;
    void keep_previous();
    void put_back() noexcept;
    void clear_leftovers();
    void replace(std::string_view text);
    void check_file_is_own();
};

namespace {

/// Nothing also where the system does not say: then the content decides.
FileStamp stamp_of(FileOps& ops, const fs::path& file) noexcept {
    struct stat status {};
    if (ops.status(file, status) != 0) return std::nullopt;
    return std::tuple{status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

Document load(FileOps& ops, const fs::path& file) { return decode(read_whole(ops, file, state_bytes_limit), file); }

/// What to do where FILE or its journal cannot be used: the generation before, if that is whole.
StateError with_way_back(const std::string& what, FileOps& ops, const RunPaths& paths) {
    const std::string previous = paths.previous.string();
    try {
        if (!status_of(ops, paths.previous))
            return StateError(
                what +
                fmt::format(" There is no '{}' to fall back on: restore the run's files from a backup, or start a "
                            "new run with another state file.",
                            previous));
        scan_lines(ops, paths.journal, load(ops, paths.previous).journal);
    } catch (const std::runtime_error& error) {
        return StateError(
            what +
            fmt::format(" '{}' cannot be used either ({}): restore the run's files from a backup, or start a new "
                        "run with another state file.",
                        previous, error.what()));
    }
    const std::string file = text::shell_quoted(paths.file.string());
    const std::string away = text::shell_quoted(paths.file.string() + ".damaged");
    return StateError(what +
                          fmt::format(" The generation saved before it is whole. To go on from it: {}cp -- {} {}; then "
                                      "resume the run.",
                                      status_of(ops, paths.file) ? fmt::format("mv -- {} {} && ", file, away) : "",
                                      text::shell_quoted(previous), file),
                      StateError::Way::resume);
}

/// FILE and a journal that is its own, or what is wrong and the way back; nothing is changed. What the system only
/// refuses to read now may be whole, and the way back would lose its last generation; what is gone is gone.
Document load_run(FileOps& ops, const RunPaths& paths) {
    try {
        Document document = load(ops, paths.file);
        scan_lines(ops, paths.journal, document.journal);
        return document;
    } catch (const OtherVersion&) {
        throw; // nothing is damaged
    } catch (const StateError& error) {
        throw with_way_back(error.what(), ops, paths);
    } catch (const std::system_error& error) {
        if (error.code().value() != ENOENT) throw;
        throw with_way_back(fmt::format("'{}' cannot be used: {}.", paths.file.string(), error.what()), ops, paths);
    }
}

void check_saved(FileOps& ops, const RunPaths& paths) {
    if (status_of(ops, paths.file)) return;
    const std::string missing = fmt::format("there is no '{}'", paths.file.string());
    if (status_of(ops, paths.previous)) throw with_way_back(missing + ".", ops, paths);
    throw StateError(missing + ", so there is no run to go on with: start one there.", StateError::Way::begin);
}

void visit_journal(FileOps& ops, const RunPaths& paths, const JournalMark& mark,
                   const std::function<void(const Json&)>& visit) {
    std::uint64_t number = 0;
    scan_lines(ops, paths.journal, mark, [&](std::string_view line) {
        visit(parse_checked(line, fmt::format("line {} of the journal '{}'", ++number, paths.journal.string())));
    });
}

/// A file that create() made and nobody saved to.
bool holds_nothing(FileOps& ops, const fs::path& file) {
    try {
        return load(ops, file).run.is_null();
    } catch (const std::runtime_error&) {
        return false;
    }
}

void check_folder(FileOps& ops, const RunPaths& paths) {
    if (!paths.file.has_filename())
        throw StateError(fmt::format("'{}' names no file: name one, as in '{}'.", paths.file.string(),
                                     (paths.file / "evolution.json").string()));
    const auto status = status_of(ops, paths.folder);
    if (!status || !S_ISDIR(status->st_mode))
        throw StateError(fmt::format("there is no folder '{}' to keep '{}' in: make it first.", paths.folder.string(),
                                     paths.file.filename().string()));
    if (ops.writable(paths.folder) != 0) fail("write into", paths.folder, errno);
    const auto file = status_of(ops, paths.file);
    if (file && S_ISDIR(file->st_mode))
        throw StateError(fmt::format("'{}' is a folder: name a file in it, as in '{}'.", paths.file.string(),
                                     (paths.file / "evolution.json").string()));
}

void check_nothing_there(FileOps& ops, const RunPaths& paths) {
    const auto refuse = [](const fs::path& found) {
        throw StateError(
            fmt::format("'{}' exists already and is not overwritten: resume that run, or name another state file.",
                        found.string()),
            StateError::Way::resume);
    };
    const bool begun = status_of(ops, paths.file).has_value();
    if (begun && !holds_nothing(ops, paths.file)) refuse(paths.file);
    own_file_at(ops, paths.temporary, Role::state);
    own_file_at(ops, paths.older, Role::state);
    own_file_at(ops, paths.lock, Role::lock);
    if (begun) {
        own_file_at(ops, paths.journal, Role::journal);
        own_file_at(ops, paths.previous, Role::state);
        return; // whatever the journal holds was never saved
    }
    if (status_of(ops, paths.previous)) refuse(paths.previous);
    if (own_file_at(ops, paths.journal, Role::journal) && status_of(ops, paths.journal)->st_size > 0)
        throw StateError(
            fmt::format("there is a journal '{}' but no '{}': move the journal away, or name another state file.",
                        paths.journal.string(), paths.file.string()));
}

} // namespace

/// Of what create() made, and of that alone.
void RunStore::Impl::undo() noexcept {
    if (!found_file && stamp && stamp_of(ops, paths.file) == stamp) ops.remove(paths.file);
    if (!found_journal) ops.remove(paths.journal);
    lock.undo();
}

/// What FILE.previous was goes aside until FILE is replaced, and FILE becomes FILE.previous. At every instant FILE or,
/// on file systems without hard links, FILE.previous is whole.
void RunStore::Impl::keep_previous() {
    if (own_file_at(ops, paths.previous, Role::state) && ops.rename(paths.previous, paths.older) != 0)
        fail("put aside", paths.previous, errno);
    if (ops.link(paths.file, paths.previous) == 0) return;
    if (ops.rename(paths.file, paths.previous) != 0 && errno != ENOENT)
        fail("keep as the previous generation", paths.file, errno);
}

/// Undoes keep_previous(): the next try would remove the only generation that there is, and the one before is still
/// wanted.
void RunStore::Impl::put_back() noexcept {
    struct stat status {};
    if (ops.status(paths.file, status) != 0 && errno == ENOENT) ops.rename(paths.previous, paths.file);
    if (ops.status(paths.older, status) == 0) ops.rename(paths.older, paths.previous);
}

/// What a process that was killed while it saved has left behind.
void RunStore::Impl::clear_leftovers() {
    if (own_file_at(ops, paths.temporary, Role::state)) ops.remove(paths.temporary);
    if (!own_file_at(ops, paths.older, Role::state)) return;
    if (status_of(ops, paths.previous))
        ops.remove(paths.older);
    else
        ops.rename(paths.older, paths.previous);
}

void RunStore::Impl::replace(std::string_view text) {
    clear_leftovers();
    write_new(ops, paths.temporary, text);
    try {
        if (!saved.run.is_null()) keep_previous();
        if (ops.rename(paths.temporary, paths.file) != 0) fail("replace", paths.file, errno);
    } catch (const std::runtime_error&) {
        if (!saved.run.is_null()) put_back();
        ops.remove(paths.temporary);
        throw;
    }
    ops.remove(paths.older);
    stamp = stamp_of(ops, paths.file);
}

/// Throws StateError where another process saved to FILE since this one did: its generations would be lost. A FILE that
/// was removed or only touched is no loss.
void RunStore::Impl::check_file_is_own() {
    const FileStamp now = stamp_of(ops, paths.file);
    if (!now || now == stamp) return;
    bool same = false;
    try {
        const Document found = load(ops, paths.file);
        same = found.journal == saved.journal && found.run == saved.run;
    } catch (const StateError&) { // as little ours as any other content
    }
    if (!same)
        throw StateError(fmt::format("'{}' was changed by somebody else while the run was open: nothing was saved. See "
                                     "who did, and resume the run from what it holds now.",
                                     paths.file.string()),
                         StateError::Way::resume);
    stamp = now;
}

RunStore RunStore::create(const fs::path& file, FileOps& ops) {
    const RunPaths paths = paths_of(file);
    return explained(fmt::format("cannot start a run in '{}'", paths.file.string()), [&] {
        check_folder(ops, paths);
        check_nothing_there(ops, paths);
        auto impl = std::make_unique<Impl>(ops, paths);
        try {
            check_nothing_there(ops, paths); // another process may have come first
            impl->found_file = status_of(ops, paths.file).has_value();
            impl->found_journal = status_of(ops, paths.journal).has_value();
        } catch (const std::runtime_error&) {
            impl->lock.undo();
            throw;
        }
        impl->is_new = true;
        File(ops, paths.journal, O_WRONLY | O_CREAT | O_TRUNC).close();
        impl->replace(encode(impl->saved, paths.file));
        flush_folder(ops, paths.folder);
        return RunStore(std::move(impl));
    });
}

RunStore RunStore::resume(const fs::path& file, FileOps& ops) {
    const RunPaths paths = paths_of(file);
    return explained(fmt::format("cannot go on with '{}'", paths.file.string()), [&] {
        check_folder(ops, paths);
        check_saved(ops, paths);
        plain_file_at(ops, paths.journal, Role::journal);
        own_file_at(ops, paths.previous, Role::state);
        own_file_at(ops, paths.temporary, Role::state);
        own_file_at(ops, paths.older, Role::state);
        auto impl = std::make_unique<Impl>(ops, paths);
        impl->stamp = stamp_of(ops, paths.file); // before the content: who saves in between is noticed
        impl->saved = load_run(ops, paths);
        cut_unsaved(ops, paths.journal, impl->saved.journal);
        impl->clear_leftovers();
        return RunStore(std::move(impl));
    });
}

RunStore::RunStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunStore::RunStore(RunStore&&) noexcept = default;
RunStore& RunStore::operator=(RunStore&&) noexcept = default;
RunStore::~RunStore() = default;

const Json& RunStore::content() const { return impl_->saved.run; }
std::uint64_t RunStore::journal_bytes() const { return impl_->saved.journal.bytes; }
std::uint64_t RunStore::journal_lines() const { return impl_->saved.journal.lines; }
const fs::path& RunStore::file() const { return impl_->paths.file; }
bool RunStore::begun_before() const { return !impl_->is_new || impl_->found_file; }

void RunStore::save(Json content, std::span<const std::string> journal_lines) {
    Impl& run = *impl_;
    if (!content.is_object()) throw std::invalid_argument("a run's content is a JSON object");
    const std::string name = run.paths.file.string();
    if (run.unflushed)
        throw StateError(
            fmt::format("cannot save '{}': the save before could not be flushed to disk. See to the disk, then resume "
                        "the run.",
                        name),
            StateError::Way::resume);
    Document next{extended(run.saved.journal, journal_lines), std::move(content)};
    const std::string text = encode(next, run.paths.file);
    explained(fmt::format("cannot save a generation to '{}'; the one before is intact", name), [&] {
        if (!status_of(run.ops, run.paths.folder)) fail("find", run.paths.folder, ENOENT);
        run.lock.check_held();
        run.check_file_is_own();
        try {
            append_lines(run.ops, run.paths.journal, run.saved.journal, journal_lines);
            run.replace(text);
        } catch (const std::system_error&) {
            try {
                cut_unsaved(run.ops, run.paths.journal, run.saved.journal); // gives its room on the disk back
            } catch (const std::system_error&) {                            // the next save or resume cuts it
            }
            throw;
        }
    });
    run.saved = std::move(next);
    run.is_new = false;
    run.unflushed = true;
    explained(fmt::format("'{}' is saved but may not survive a power cut", name),
              [&] { flush_folder(run.ops, run.paths.folder); });
    run.unflushed = false;
}

std::vector<fs::path> files_of_run(const fs::path& state_file) {
    const RunPaths paths = paths_of(state_file);
    return {paths.file, paths.previous, paths.older, paths.temporary, paths.journal, paths.lock};
}

Json read_state(const fs::path& file, FileOps& ops) {
    const RunPaths paths = paths_of(file);
    Document document =
        explained(fmt::format("'{}' cannot be read", file.string()), [&] { return load(ops, paths.file); });
    if (document.run.is_null())
        throw StateError(
            fmt::format("'{}' holds no generation yet: its run has only begun, or was stopped before it saved one.",
                        file.string()));
    return std::move(document.run);
}

void RunStore::read_journal(const std::function<void(const Json&)>& visit) const {
    explained(fmt::format("'{}' cannot be read", impl_->paths.journal.string()),
              [&] { visit_journal(impl_->ops, impl_->paths, impl_->saved.journal, visit); });
}

void read_journal(const fs::path& state_file, const std::function<void(const Json&)>& visit, FileOps& ops) {
    const RunPaths paths = paths_of(state_file);
    explained(fmt::format("'{}' cannot be read", state_file.string()),
              [&] { visit_journal(ops, paths, load(ops, paths.file).journal, visit); });
}

} // namespace evictlab::state
