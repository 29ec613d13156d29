// What evolution.json looks like: its text from a run's content and back, with every check that needs no other file.
//   {"schema": "evictlab-evolution/1", "journal_bytes": N, "journal_lines": L, "journal_chain": "sha256:...",
//    "run": {the owner's content}, "checksum": "sha256:..."}
// The checksum is of the text, without spaces, of all that stands before it, so a file that was only laid out anew is
// read. Internal to state/. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "state/journal.hpp"
#include "state/store.hpp"

namespace evictlab::state {

inline constexpr std::uint64_t state_bytes_limit = std::uint64_t{64} << 20;

/// A file of another version: nothing is damaged, so nothing older takes its place.
struct OtherVersion : StateError {
    using StateError::StateError;
};

struct Document {
    JournalMark journal;
    Json run; ///< null before the first generation is saved
};

/// The text of a document, which is the same afterwards. Throws StateError for what decode() would refuse.
std::string encode(Document& document, const std::filesystem::path& file);

/// Throws OtherVersion, or StateError naming `file`: damaged, wrong checksum, beyond the limits.
Document decode(std::string_view text, const std::filesystem::path& file);

/// JSON within limits: throws StateError where it does not parse or is beyond them. `where` is what
/// the message begins with.
Json parse_checked(std::string_view text, const std::string& where);

} // namespace evictlab::state
