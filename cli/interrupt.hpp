// Signals. Ctrl-C or SIGTERM asks to stop, and a second one ends the program at once. So does the first where nothing
// holds it (input::HoldStop) and the program has not ended within half a second: whatever it does then leaves nothing
// behind. Files that grow beyond their limit are an error of that file, no signal. SPDX-License-Identifier: MIT
#pragma once
#include <atomic>

namespace evictlab::cli {

void install_signal_handlers();

/// Set once somebody asked to stop.
const std::atomic<bool>& interrupted();

} // namespace evictlab::cli
