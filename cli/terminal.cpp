// SPDX-License-Identifier: MIT
#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/algorithm/string/replace.hpp>
#include <cstdlib>

#include "base/text/shown.hpp"

namespace evictlab::cli {

std::optional<std::size_t> terminal_width(int descriptor) {
    if (isatty(descriptor) != 1) return std::nullopt;
    winsize size{};
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool obeys_escapes(int descriptor) {
    const char* const terminal = std::getenv("TERM");
    return isatty(descriptor) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool shows_colour(int descriptor) {
    const char* const refused = std::getenv("NO_COLOR");
    return obeys_escapes(descriptor) && (refused == nullptr || *refused == '\0');
}

std::string wrapped(std::string_view text, std::size_t columns) {
    std::string out;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        while (!line.starts_with('\033') && text::width(line) > columns) {
            std::size_t end = line.size();
            do end = line.substr(0, end).find_last_of(' ');
            while (end != line.npos && end > 0 && text::width(line.substr(0, end)) > columns);
            if (end == line.npos || line.find_first_not_of(' ') > end) break; // a word that has no room anywhere
            out.append(line.substr(0, end)).append("\n");
            line.remove_prefix(end + 1);
        }
        out.append(line).append("\n");
    }
    return out;
}

std::string set_in(std::string_view text, std::size_t columns) {
    std::string out;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::size_t blanks = std::min(line.find_first_not_of(' '), line.size());
        std::string broken = wrapped(line.substr(blanks), columns - std::min(columns, blanks + 2));
        if (!broken.empty()) broken.pop_back();
        boost::replace_all(broken, "\n", "\n" + std::string(blanks + 2, ' '));
        out += std::string(blanks, ' ') + broken + '\n';
    }
    return out;
}

std::string refilled(std::string_view text, std::size_t columns) {
    std::string joined(text);
    for (std::size_t i = 1; i + 1 < joined.size(); ++i)
        if (joined[i] == '\n' && joined[i - 1] != '\n' && joined[i + 1] != '\n' && joined[i + 1] != ' ')
            joined[i] = ' ';
    return wrapped(joined, columns);
}

} // namespace evictlab::cli
