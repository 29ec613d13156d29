// Keeps a second process away from a run: FILE.lock, locked while a process has the run open. The kernel frees it when
// that process ends, however it ends, so a lock file that was left behind is no obstacle. Some network file systems
// keep locks on one host only; there the second host overwrites the file's text, by which the first finds out. Internal
// to state/. SPDX-License-Identifier: MIT
#pragma once
#include "state/files.hpp"

namespace evictlab::state {

class Lock {
public:
    /// Throws StateError that says who holds it, or that another file lies at its name; std::system_error where it
    /// cannot be made.
    Lock(FileOps& ops, const RunPaths& paths);
    /// Leaves no trace: removes the file where this made it, else gives it back the text that it had.
    void undo() noexcept;
    /// Throws StateError where the lock file no longer keeps anyone out: it was removed or replaced, or another host,
    /// which does not see the lock, has written its own name into it.
    void check_held() const;

private:
    FileOps* ops_;
    std::filesystem::path path_;
    bool made_ = false;
    File file_;
    std::string before_, text_; ///< what was in the file, and what this wrote into it
};

} // namespace evictlab::state
