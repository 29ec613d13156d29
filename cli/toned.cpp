// SPDX-License-Identifier: MIT
#include "cli/toned.hpp"

#include <iostream>
#include <string>

#include "base/text/shown.hpp"

namespace evictlab::cli {
namespace {

/// The line as a terminal may get it.
std::string toned(std::string_view line) {
    constexpr std::string_view plain = "\033[0m";
    if (line.ends_with(plain))
        for (const std::string_view tone : {"\033[1m", "\033[2m", "\033[32m"})
            if (line.starts_with(tone)) {
                const std::string_view between = line.substr(tone.size(), line.size() - tone.size() - plain.size());
                return std::string(tone) + text::line(between) + std::string(plain);
            }
    return text::line(line);
}

} // namespace

void print_toned(std::string_view text) {
    std::string safe;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        safe += toned(text.substr(0, end));
        if (end == text.npos) break;
        safe += '\n';
        text.remove_prefix(end + 1);
    }
    std::cout << safe << std::flush; // output_error() tells of what was not taken
}

} // namespace evictlab::cli
