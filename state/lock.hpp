// Keeps a second process away from a run: FILE.lock, locked while a process has the run open. The kernel frees it when
// that process ends, however it ends, so a lock file that was left behind is no obstacle. Internal to state/.
// SPDX-License-Identifier: MIT
#pragma once
#include "state/files.hpp"

namespace evictlab::state {

class Lock {
public:
    /// Throws StateError that says who holds it, std::system_error where the file cannot be made.
    Lock(FileOps& ops, const RunPaths& paths);
    /// Throws StateError where somebody removed or replaced the lock file, so that it no longer keeps anyone out.
    void check_held() const;

private:
    FileOps* ops_;
    std::filesystem::path path_;
    File file_;
};

} // namespace evictlab::state
