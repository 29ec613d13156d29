// Ctrl-C: the first one asks the work to stop, the second leaves at once.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>

namespace evictlab::cli {

/// For SIGINT and SIGTERM.
void install_interrupt_handler();
/// True once one of them came.
const std::atomic<bool>& interrupted();

} // namespace evictlab::cli
