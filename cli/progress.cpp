// SPDX-License-Identifier: MIT
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "base/text/shown.hpp"
#include "cli/terminal.hpp"
#include "report/run_text.hpp"

namespace evictlab::cli {
namespace {

constexpr auto redraw_after = std::chrono::milliseconds(100);
constexpr auto line_after = std::chrono::seconds(10);

/// What of a line in UTF-8 fits into so many columns.
std::string_view fitting(std::string_view line, std::size_t columns) {
    std::size_t at = 0;
    while (at < line.size()) {
        const std::size_t bytes = text::front(line.substr(at)).bytes, width = text::width(line.substr(at, bytes));
        if (width > columns) break;
        columns -= width;
        at += bytes;
    }
    return line.substr(0, at);
}

} // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(text::line(label)), terminal_(obeys_escapes(STDERR_FILENO)), begin_(Clock::now()), last_(begin_) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
    if (drawn_ > 0) fmt::print(stderr, "\r\033[{}A\033[J", drawn_);
    drawn_ = 0;
}

void ProgressBar::say(const std::string& line) {
    const std::lock_guard lock(mutex_);
    clear();
    fmt::print(stderr, "{}\n", text::line(line));
    if (terminal_) last_ = {}; // what was taken away comes back with the next update
}

void ProgressBar::update(double fraction, const std::string& note, const std::vector<std::string>& below) {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (now - last_ < (terminal_ ? Clock::duration(redraw_after) : Clock::duration(line_after))) return;
    last_ = now;
    last_fraction_ = std::clamp(fraction, last_fraction_, 1.0);
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    if (terminal_)
        draw(last_fraction_, seconds, note, below);
    else
        print_line(last_fraction_, seconds, note);
}

void ProgressBar::draw(double fraction, double seconds, const std::string& note,
                       const std::vector<std::string>& below) {
    constexpr std::size_t width = 24;
    const auto filled = static_cast<std::size_t>(fraction * width);
    std::vector<std::string> lines{fmt::format("{} [{}{}] {:3.0f} % ETA {}  {}", label_, std::string(filled, '#'),
                                               std::string(width - filled, '.'), 100 * fraction,
                                               fraction > 0 ? report::time_text(seconds / fraction - seconds) : "?",
                                               below.empty() ? text::line(note) : "")};
    for (const std::string& line : below) lines.push_back(text::line(line));
    const std::size_t columns = terminal_width(STDERR_FILENO).value_or(80) - 1;
    std::string text = drawn_ > 0 ? fmt::format("\r\033[{}A", drawn_) : "\r";
    for (const std::string& line : lines) text += fmt::format("{}\033[K\n", fitting(line, columns));
    drawn_ = lines.size();
    fmt::print(stderr, "{}\033[J", text);
    (void)std::fflush(stderr);
}

void ProgressBar::print_line(double fraction, double seconds, const std::string& note) {
    fmt::print(stderr, "{}: {:.0f} % after {}{}{}\n", label_, 100 * fraction, report::time_text(seconds),
               note.empty() ? "" : ", ", text::line(note));
}

} // namespace evictlab::cli
