// What a plugin shares with others in a process and must leave as it was: the floating-point mode of its thread, and
// the locale. In the host, one that changed them would change the figures of everybody. SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace evictlab::isolation {

class Environment {
public:
    Environment(); ///< as it is now
    /// What was changed since, put back: "left the floating-point mode changed", or "".
    std::string restore();

private:
    unsigned long long mode_;
    std::string locale_;
};

} // namespace evictlab::isolation
