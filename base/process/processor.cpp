// SPDX-License-Identifier: MIT
#include "base/process/processor.hpp"

#include <sys/utsname.h>

#include <fstream>

namespace evictlab {

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const auto colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
    }
    utsname names{};
    return uname(&names) == 0 ? names.machine : "unknown processor";
}

} // namespace evictlab
