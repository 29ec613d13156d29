// A worker's last act: noting why it dies, where that can be seen from inside, for the host to tell.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>

#include "isolation/control.hpp"
#include "isolation/shared_memory.hpp"
#include "isolation/worker/confinement.hpp"
#include "isolation/worker/guarded_scores.hpp"

namespace evictlab::isolation {

/// What a worker has mapped, for a faulting address to be found in.
struct Mapped {
    const SharedMemory& input;
    const SharedMemory& rows;
    const SharedMemory& output;
    const GuardedScores& scores;
    std::span<const std::byte> undeclared; ///< who reads there reads a column that it did not declare

    /// Where there is nothing of them any more.
    bool is_past_columns(const void* address) const {
        return input.holds(address) || rows.holds(address) || input.guards_end(address) || rows.guards_end(address) ||
               input.guards_begin(address) || rows.guards_begin(address);
    }
    bool is_undeclared(const void* address) const {
        return address >= undeclared.data() && address < undeclared.data() + undeclared.size();
    }
};

/// Handles the signals of crashes on a stack of its own, and operator new's running out of memory. All must live as
/// long as the process. With more memory than `full` a crash is for want of it; zeros: never. Once in
/// a process.
void note_crashes(Control& control, const Mapped& mapped, const MemoryInUse& full);

} // namespace evictlab::isolation
