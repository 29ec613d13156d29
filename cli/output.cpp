// SPDX-License-Identifier: MIT
#include "cli/output.hpp"

#include <cerrno>
#include <cstdio>
#include <iostream>

namespace evictlab::cli {
namespace {

int failed_with = 0;

void write(std::FILE* to, const std::string& text) { (void)std::fwrite(text.data(), 1, text.size(), to); }

/// A line of the message that somebody else wrote cannot pass for one of ours.
std::string set_in(const std::string& lines) {
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        out += lines[i];
        if (lines[i] == '\n' && i + 1 < lines.size() && lines[i + 1] != ' ' && lines[i + 1] != '\n') out += "  ";
    }
    return out;
}

} // namespace

void print(std::string_view text) {
    errno = 0;
    write(stdout, text::lines(text));
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    if (!written && failed_with == 0) failed_with = errno != 0 ? errno : EIO;
}

int output_error() {
    errno = 0;
    if (failed_with == 0 && (!std::cout.flush() || std::fflush(stdout) != 0)) failed_with = errno != 0 ? errno : EIO;
    return failed_with;
}

void complain(std::string_view message, std::string_view program) {
    write(stderr, std::string(program) + ": " + set_in(text::lines(message)) + "\n");
}

} // namespace evictlab::cli
