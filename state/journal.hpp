// The journal: one JSON object a line, append-only. A mark says how much of it belongs to a saved generation, and a
// chain of hashes over the lines notices a journal that was swapped or edited. Internal to state/.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "state/file_ops.hpp"

namespace evictlab::state {

/// The journal up to the end of a generation. The chain is h(0) = sha256 of nothing, h(i) = sha256(h(i-1) + line i),
/// the hashes as "sha256:" and hexadecimal digits, so a generation costs what its own lines cost.
struct JournalMark {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
    std::string chain = beginning();

    static std::string beginning();
    void add(std::string_view line);
    bool operator==(const JournalMark&) const = default;
};

/// Throws std::invalid_argument for a line that is no JSON object on one line or too long.
JournalMark extended(JournalMark mark, std::span<const std::string> lines);

/// Cuts what stands behind the mark, writes the lines after it and flushes them. Throws StateError where the journal is
/// shorter than the mark, std::system_error where the system refuses.
void append_lines(FileOps& ops, const std::filesystem::path& journal, const JournalMark& mark,
                  std::span<const std::string> lines);

/// Cuts what stands behind the mark: lines of a generation that was never saved.
void cut_unsaved(FileOps& ops, const std::filesystem::path& journal, const JournalMark& mark);

/// Gives the lines up to the mark to `visit` and throws StateError where they are not those that were saved. A line is
/// visited before those behind it are checked.
void scan_lines(FileOps& ops, const std::filesystem::path& journal, const JournalMark& mark,
                const std::function<void(std::string_view)>& visit = nullptr);

} // namespace evictlab::state
