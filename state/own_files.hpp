// Whether what lies at one of a run's names is a run's file, before it is used: the names are ordinary ones, and a
// folder may hold somebody else's file, link or pipe under them. Internal to state/. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <string_view>

#include "state/files.hpp"

namespace evictlab::state {

enum class Role : std::uint8_t {
    state,   ///< FILE.previous, FILE.tmp and FILE.previous.tmp: a state, whole or as far as a kill let it be written
    journal, ///< FILE.journal
    lock,    ///< FILE.lock
    answers, ///< FILE.verdicts and FILE.proposals
};

/// Whether there is one. Throws StateError naming `path` where something else lies there: a link, a folder, a pipe, a
/// device, a file with a second name elsewhere (where it would be written into), or one that does not begin as such a
/// file does. An empty file is one.
bool own_file_at(FileOps& ops, const std::filesystem::path& path, Role role);

/// The same but for its beginning, of a file whose whole content is checked before it is changed.
bool plain_file_at(FileOps& ops, const std::filesystem::path& path, Role role);

/// Whether such a file may begin so.
bool begins_as(Role role, std::string_view whole);

} // namespace evictlab::state
