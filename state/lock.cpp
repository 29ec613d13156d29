// SPDX-License-Identifier: MIT
#include "state/lock.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <random>
#include <thread>
#include <unistd.h>

#include "base/text/shown.hpp"
#include "state/own_files.hpp"
#include "state/store.hpp"

namespace evictlab::state {
namespace {

constexpr const char* time_format = "%Y-%m-%dT%H:%M:%SZ";

std::string holder() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    std::array<char, 32> since{};
    (void)std::strftime(since.data(), since.size(), time_format, &utc);
    // Two hosts may have one name, and processes of one number that began in one second: the second line differs.
    std::random_device random;
    return fmt::format("process {} on {} since {}\n{:08x}{:08x}\n", ::getpid(), host.data(), since.data(), random(),
                       random());
}

std::string whole_text_of(const File& file) {
    std::array<char, 512> bytes{};
    return {bytes.data(), file.read(bytes.data(), bytes.size())};
}

/// The time behind the last "since ".
std::optional<std::time_t> since_of(const std::string& text) {
    constexpr std::string_view word = " since ";
    const std::size_t at = text.rfind(word);
    std::tm utc{};
    if (at == text.npos || ::strptime(text.c_str() + at + word.size(), time_format, &utc) == nullptr)
        return std::nullopt;
    return ::timegm(&utc);
}

/// The first line of a lock file's text; says so where its clock is ahead of this host's, as after a clock was set
/// back.
std::string described(const std::string& whole) {
    const std::string text = text::line(whole.substr(0, whole.find('\n')), 80);
    if (text.empty()) return "another process";
    const auto since = since_of(text);
    return since && *since > std::time(nullptr) + 1 ? text + ", by a clock that is ahead of this one" : text;
}

/// Whether another process has it. Who only asks (holder_of) holds it for a moment, which is waited for.
bool taken(FileOps& ops, const File& file, const std::filesystem::path& path) {
    for (int tries = 0;;) {
        if (ops.lock(file.descriptor()) == 0) return false;
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) fail("lock", path, errno);
        if (++tries == 20) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

bool is_at(FileOps& ops, const File& file, const std::filesystem::path& path) {
    const auto found = status_of(ops, path);
    const struct stat own = file.status();
    return found && found->st_ino == own.st_ino && found->st_dev == own.st_dev;
}

/// `made`: whether the file was not there before.
File locked(FileOps& ops, const RunPaths& paths, bool& made) {
    for (int tries = 0;; ++tries) {
        made = !own_file_at(ops, paths.lock, Role::lock);
        File file(ops, paths.lock, O_RDWR | O_CREAT | O_APPEND);
        if (taken(ops, file, paths.lock) || tries == 20)
            throw StateError(
                fmt::format("'{}' is in use by {}: wait until it ends or stop it, or name another state file.",
                            paths.file.string(), described(whole_text_of(file))));
        if (is_at(ops, file, paths.lock)) return file; // else a run that saved nothing took it away just now
    }
}

} // namespace

Lock::Lock(FileOps& ops, const RunPaths& paths)
    : ops_(&ops), path_(paths.lock), file_(locked(ops, paths, made_)), before_(whole_text_of(file_)) {
    file_.cut(0);
    text_ = holder();
    file_.write(text_);
}

void Lock::undo() noexcept {
    try {
        if (!is_at(*ops_, file_, path_)) return;
        if (made_) {
            ops_->remove(path_);
            return;
        }
        file_.cut(0);
        file_.write(before_);
    } catch (const std::exception&) { // the next run that opens it writes it anew
    }
}

void Lock::check_held() const {
    if (!is_at(*ops_, file_, path_))
        throw StateError(
            fmt::format("'{}' was removed or replaced while the run was open, so another process may have it: nothing "
                        "was saved. Resume the run from its last saved generation.",
                        path_.string()),
            StateError::Way::resume);
    const std::string text = whole_text_of(File(*ops_, path_, O_RDONLY));
    if (text == text_) return;
    throw StateError(
        fmt::format("'{}' now names {}: the run was opened there, too, for the lock of this process is not "
                    "seen there. Nothing was saved here. Let one host alone have the run, on a disk of its "
                    "own or a file system whose locks hold between hosts, and resume the run.",
                    path_.string(), described(text)),
        StateError::Way::resume);
}

std::optional<Holder> holder_of(const std::filesystem::path& state_file, FileOps& ops) {
    const RunPaths paths = paths_of(state_file);
    return explained("cannot tell who has the run open", [&]() -> std::optional<Holder> {
        const auto status = status_of(ops, paths.lock);
        if (!status || !S_ISREG(status->st_mode)) return std::nullopt;
        const File file(ops, paths.lock, O_RDONLY);
        while (ops.lock_shared(file.descriptor()) != 0) {
            if (errno == EINTR) continue;
            if (errno != EWOULDBLOCK) fail("look at the lock", paths.lock, errno);
            const std::string text = whole_text_of(file);
            return Holder{described(text), since_of(text)};
        }
        return std::nullopt;
    });
}

} // namespace evictlab::state
