// The wish that the program ends, made by a signal, as all that waits or loops sees it.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>

namespace evictlab::input {

/// Set by the signal handlers of a program that has some; false for ever in others.
std::atomic<bool>& stop_requested();

/// While one lives, a stop is left to the code around it, which looks at stop_requested() at least twice a second or
/// is about to be done. Without one a program may end wherever it is: nothing would be left behind.
class HoldStop {
public:
    HoldStop();
    ~HoldStop();
    HoldStop(const HoldStop&) = delete;
    HoldStop& operator=(const HoldStop&) = delete;
    static bool any(); ///< may be called in a signal handler
};

} // namespace evictlab::input
