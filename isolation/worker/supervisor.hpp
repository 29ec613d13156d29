// A worker is up to three processes. The supervisor, which the host started, runs none of the plugin's code: it ends
// the others when the host ends or asks for it, and dies of what the plugin's process died of. The keeper is the first
// of the namespace of processes, with which the kernel kills all that is in it; it ends with the supervisor. The last
// one runs the plugin. SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

#include <cstdint>

#include "isolation/control.hpp"

namespace evictlab::isolation {

/// Returns the layers that hold so far (layers.hpp), in the process that runs the plugin; the others stay within. To be
/// called while there is one thread.
std::uint32_t supervise(pid_t host, const Control& control, Watch& watch);

} // namespace evictlab::isolation
