// The commands of judges and proposers that this user has typed: a state file names commands, and one from elsewhere
// must not run them by being resumed. Kept as one line of SHA-256 a command and folder in a file of the user's own, so
// that neither the state nor what is published of it changes. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>

namespace evictlab::state {

class KnownCommands {
public:
    /// In $XDG_STATE_HOME/evictlab, else ~/.local/state/evictlab.
    KnownCommands();
    explicit KnownCommands(std::filesystem::path file) : file_(std::move(file)) {}

    /// "" where the user typed this command for a run in the folder of this state file, whose owner the user is; else
    /// why nothing says so, in words that go behind "because".
    std::string doubt(const std::filesystem::path& state_file, const std::string& command) const;
    /// "" where it is remembered from now on, else why it cannot be.
    std::string remember(const std::filesystem::path& state_file, const std::string& command) const;

private:
    std::filesystem::path file_; ///< "" where the environment names no place
};

} // namespace evictlab::state
