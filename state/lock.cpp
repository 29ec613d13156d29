// SPDX-License-Identifier: MIT
#include "state/lock.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

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
    std::strftime(since.data(), since.size(), time_format, &utc);
    return fmt::format("process {} on {} since {}\n", ::getpid(), host.data(), since.data());
}

std::string text_of(const File& file) {
    std::array<char, 512> bytes{};
    std::string text(bytes.data(), file.read(bytes.data(), bytes.size()));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "another process" : text;
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

} // namespace

Lock::Lock(FileOps& ops, const RunPaths& paths)
    : ops_(&ops), path_(paths.lock), file_(ops, paths.lock, O_RDWR | O_CREAT) {
    if (taken(ops, file_, path_))
        throw StateError(fmt::format("'{}' is in use by {}: wait until it ends or stop it, or name another state file.",
                                     paths.file.string(), text_of(file_)));
    file_.cut(0);
    file_.write(holder());
}

void Lock::check_held() const {
    const auto found = status_of(*ops_, path_);
    const struct stat own = file_.status();
    if (found && found->st_ino == own.st_ino && found->st_dev == own.st_dev) return;
    throw StateError(fmt::format("'{}' was removed or replaced while the run was open, so another process may have it: "
                                 "nothing was saved. Go on from the last saved generation with --resume.",
                                 path_.string()));
}

std::optional<Holder> holder_of(const std::filesystem::path& state_file, FileOps& ops) {
    const RunPaths paths = paths_of(state_file);
    return explained("cannot tell who has the run open", [&]() -> std::optional<Holder> {
        if (!status_of(ops, paths.lock)) return std::nullopt;
        const File file(ops, paths.lock, O_RDONLY);
        while (ops.lock_shared(file.descriptor()) != 0) {
            if (errno == EINTR) continue;
            if (errno != EWOULDBLOCK) fail("look at the lock", paths.lock, errno);
            std::string text = text_of(file);
            const auto since = since_of(text);
            return Holder{std::move(text), since};
        }
        return std::nullopt;
    });
}

} // namespace evictlab::state
