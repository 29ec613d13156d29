// The program of a worker: a plugin's process. It does what the host asks until it is killed.
// SPDX-License-Identifier: MIT
#pragma once
#include <sys/types.h>

namespace evictlab::isolation {

/// On the descriptors of control.hpp, for the host of that process number. Never returns.
[[noreturn]] void run_worker(pid_t host);

} // namespace evictlab::isolation
