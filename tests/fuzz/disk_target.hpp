// What the targets share that read files of a run. SPDX-License-Identifier: MIT
#pragma once
#include "base/error.hpp"
#include "state/store.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/memory_disk.hpp"

namespace evictlab::fuzz {

/// Reads the disk; an error of ours is the right answer, if its message is good.
template <class Read>
void with_errors(test::MemoryDisk& disk, Read read) {
    try {
        read(disk);
    } catch (const state::StateError& error) {
        check_message(error);
    } catch (const Error& error) {
        check_message(error);
    }
}

} // namespace evictlab::fuzz
