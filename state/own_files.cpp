// SPDX-License-Identifier: MIT
#include "state/own_files.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <fmt/format.h>

namespace evictlab::state {
namespace fs = std::filesystem;
namespace {

/// Enough of a file to know it by.
constexpr std::size_t beginning = 40;

std::string_view first_words(Role role) {
    switch (role) {
    case Role::state:
        return R"({"schema":"evictlab-evolution/)";
    case Role::journal:
        return R"({"id":"g)";
    case Role::lock:
        return "process ";
    case Role::answers:
        break;
    }
    return R"({"format":"evictlab-exchanges/)";
}

/// "" for a file that may be one of a run's. Those that hold a state are renamed and never written into.
std::string_view what_it_is(const struct stat& status, Role role) {
    if (S_ISLNK(status.st_mode)) return "a link, which is not followed";
    if (S_ISDIR(status.st_mode)) return "a folder";
    if (S_ISFIFO(status.st_mode)) return "a pipe";
    if (!S_ISREG(status.st_mode)) return "no ordinary file";
    const bool shared = status.st_nlink > 1 && role != Role::state;
    return shared ? "a file that has a second name elsewhere, which would change with it" : "";
}

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
    throw StateError(
        fmt::format("'{}' is {}. A run keeps a file of its own under that name: move what is there away, or name "
                    "another state file",
                    path.string(), what));
}

} // namespace

bool begins_as(Role role, std::string_view whole) {
    std::string text(whole);
    if (role == Role::state) { // which is read however it is laid out
        std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
        // A file of which a power cut took the bytes, though not the length.
        if (std::ranges::all_of(text, [](char c) { return c == '\0'; })) return true;
    }
    const std::string_view words = first_words(role);
    const std::size_t size = std::min(words.size(), text.size());
    if (text.substr(0, size) != words.substr(0, size)) return false;
    if (role != Role::lock || text.size() <= size) return true;
    const std::size_t end = text.find_first_not_of("0123456789", size); // "process 12 on ", also a part of it
    return end > size && (end == text.npos || std::string_view(" on ").starts_with(text.substr(end, 4)));
}

bool plain_file_at(FileOps& ops, const fs::path& path, Role role) {
    const auto status = status_of(ops, path);
    if (!status) return false;
    if (const auto what = what_it_is(*status, role); !what.empty()) refuse(path, what);
    return true;
}

bool own_file_at(FileOps& ops, const fs::path& path, Role role) {
    if (!plain_file_at(ops, path, role)) return false;
    std::array<char, beginning> bytes{};
    const std::size_t count = File(ops, path, O_RDONLY).read(bytes.data(), bytes.size());
    if (!begins_as(role, {bytes.data(), count})) refuse(path, "not a file that evictlab wrote");
    return true;
}

} // namespace evictlab::state
