// SPDX-License-Identifier: MIT
#include "state/known_commands.hpp"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest/digest.hpp"
#include "state/files.hpp"

namespace evictlab::state {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t bytes_limit = 64 << 20;

/// The user's place for what programs remember; "" where there is none.
fs::path state_home() {
    const char* const set = std::getenv("XDG_STATE_HOME");
    if (set != nullptr && fs::path(set).is_absolute()) return set;
    const char* const home = std::getenv("HOME");
    if (home != nullptr && fs::path(home).is_absolute()) return fs::path(home) / ".local" / "state";
    return {};
}

fs::path folder_of(const fs::path& state_file) {
    std::error_code ignored;
    const fs::path folder = paths_of(state_file).folder, real = fs::canonical(folder, ignored);
    return real.empty() ? fs::absolute(folder) : real;
}

std::string line_of(const fs::path& state_file, const std::string& command) {
    return sha256_hex(fmt::format("{}\n{}\n{}", ::geteuid(), sha256_hex(folder_of(state_file).string()), command)) +
           "\n";
}

std::string in_words(int error) { return std::strerror(error); }

/// Nobody else can have written into it.
bool only_ours(const struct stat& status) {
    return status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// The open file; -1 with the reason. `flags` may make it.
int open_checked(const fs::path& file, int flags, std::string& why) {
    struct stat status {};
    const int descriptor = ::open(file.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        why = fmt::format("'{}' cannot be opened ({})", file.string(), in_words(errno));
    } else if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || !only_ours(status)) {
        why = fmt::format("'{}' is no file that only this user can write", file.string());
        ::close(descriptor);
        return -1;
    }
    return descriptor;
}

/// The lines that are there; "" with the reason.
std::string lines_in(const fs::path& file, std::string& why) {
    const int descriptor = open_checked(file, O_RDONLY, why);
    if (descriptor < 0) return "";
    ::close(descriptor);
    try {
        return read_whole(system_file_ops(), file, bytes_limit);
    } catch (const std::runtime_error& error) {
        why = error.what();
        return "";
    }
}

bool holds(const std::string& lines, const std::string& line) {
    for (std::size_t at = lines.find(line); at != lines.npos; at = lines.find(line, at + 1))
        if (at == 0 || lines[at - 1] == '\n') return true;
    return false;
}

} // namespace

KnownCommands::KnownCommands() : file_(state_home()) {
    if (!file_.empty()) file_ = file_ / "evictlab" / "commands";
}

std::string KnownCommands::doubt(const fs::path& state_file, const std::string& command) const {
    const fs::path file = paths_of(state_file).file;
    struct stat status {};
    if (::lstat(file.c_str(), &status) != 0) return fmt::format("'{}' cannot be looked at", file.string());
    if (status.st_uid != ::geteuid()) return fmt::format("'{}' belongs to another user", file.string());
    if (file_.empty()) return "neither XDG_STATE_HOME nor HOME names a place where what you typed is remembered";
    std::error_code ignored;
    const std::string unknown =
        fmt::format("it is not among those that you typed for runs in this folder ('{}')", file_.string());
    if (!fs::exists(file_, ignored)) return unknown;
    std::string why;
    const std::string lines = lines_in(file_, why);
    if (!why.empty()) return why;
    return holds(lines, line_of(state_file, command)) ? "" : unknown;
}

std::string KnownCommands::remember(const fs::path& state_file, const std::string& command) const {
    if (file_.empty()) return "neither XDG_STATE_HOME nor HOME names a place";
    if (doubt(state_file, command).empty()) return "";
    std::error_code error;
    const fs::path folder = file_.parent_path();
    fs::create_directories(folder.parent_path(), error);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return fmt::format("'{}' cannot be made ({})", folder.string(), in_words(errno));
    std::string why;
    const int descriptor = open_checked(file_, O_WRONLY | O_APPEND | O_CREAT, why);
    if (descriptor < 0) return why;
    const std::string line = line_of(state_file, command);
    const ssize_t written = ::write(descriptor, line.data(), line.size()); // whole lines, as it appends
    if (written != static_cast<ssize_t>(line.size()))
        why = fmt::format("'{}' cannot be written ({})", file_.string(), written < 0 ? in_words(errno) : "disk full");
    ::close(descriptor);
    return why;
}

} // namespace evictlab::state
