// SPDX-License-Identifier: MIT
#include "state/lock.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "state/store.hpp"

namespace evictlab::state {
namespace {

std::string holder() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    std::array<char, 32> since{};
    std::strftime(since.data(), since.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return fmt::format("process {} on {} since {}\n", ::getpid(), host.data(), since.data());
}

std::string text_of(const File& file) {
    std::array<char, 512> bytes{};
    std::string text(bytes.data(), file.read(bytes.data(), bytes.size()));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "another process" : text;
}

} // namespace

Lock::Lock(FileOps& ops, const RunPaths& paths)
    : ops_(&ops), path_(paths.lock), file_(ops, paths.lock, O_RDWR | O_CREAT) {
    while (ops.lock(file_.descriptor()) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK)
            throw StateError(
                fmt::format("'{}' is in use by {}: wait until it ends or stop it, or name another state file.",
                            paths.file.string(), text_of(file_)));
        fail("lock", path_, errno);
    }
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

} // namespace evictlab::state
