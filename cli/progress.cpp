// SPDX-License-Identifier: MIT
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace evictlab::cli {
namespace {

constexpr auto redraw_after = std::chrono::milliseconds(100);
constexpr auto line_after = std::chrono::seconds(10);

std::size_t terminal_width() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

std::string time_text(double seconds) {
    const auto s = std::lround(seconds);
    return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                    : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

} // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1), begin_(Clock::now()), last_(begin_) {}

ProgressBar::~ProgressBar() { clear_bar(); }

void ProgressBar::clear_bar() {
    if (drawn_ > 0) fmt::print(stderr, "\r{}\r", std::string(drawn_, ' '));
    drawn_ = 0;
}

void ProgressBar::say(const std::string& line) {
    const std::lock_guard lock(mutex_);
    clear_bar();
    fmt::print(stderr, "{}\n", line);
}

void ProgressBar::update(double fraction, const std::string& note) {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (now - last_ < (terminal_ ? Clock::duration(redraw_after) : Clock::duration(line_after))) return;
    last_ = now;
    last_fraction_ = std::clamp(fraction, last_fraction_, 1.0);
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    if (terminal_)
        draw_bar(last_fraction_, seconds, note);
    else
        print_line(last_fraction_, seconds, note);
}

void ProgressBar::draw_bar(double fraction, double seconds, const std::string& note) {
    constexpr std::size_t width = 24;
    const auto filled = static_cast<std::size_t>(fraction * width);
    std::string line = fmt::format("{} [{}{}] {:3.0f} % ETA {}  {}", label_, std::string(filled, '#'),
                                   std::string(width - filled, '.'), 100 * fraction,
                                   fraction > 0 ? time_text(seconds / fraction - seconds) : "?", note);
    line.resize(std::min(line.size(), terminal_width() - 1));
    const std::size_t now_drawn = line.size();
    line.resize(std::max(line.size(), drawn_), ' ');
    drawn_ = now_drawn;
    fmt::print(stderr, "\r{}", line);
    std::fflush(stderr);
}

void ProgressBar::print_line(double fraction, double seconds, const std::string& note) {
    fmt::print(stderr, "{}: {:.0f} % after {}{}{}\n", label_, 100 * fraction, time_text(seconds),
               note.empty() ? "" : ", ", note);
}

} // namespace evictlab::cli
