// SPDX-License-Identifier: MIT
#include "report/spark_line.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace evictlab::report {
namespace {

constexpr std::array<std::string_view, 8> blocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> marks{"_", ".", ":", "-", "=", "+", "*", "#"};

} // namespace

Glyphs glyphs_of_environment() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* const value = std::getenv(name);
        if (value == nullptr || *value == '\0') continue;
        std::string locale;
        for (const char c : std::string_view(value))
            if (c != '-') locale += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        return locale.find("utf8") == std::string::npos ? Glyphs::ascii : Glyphs::unicode;
    }
    return Glyphs::ascii;
}

std::string spark_line(std::span<const double> values, std::size_t width, Glyphs glyphs) {
    const auto& levels = glyphs == Glyphs::unicode ? blocks : marks;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const double value : values)
        if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
    const std::size_t columns = std::min(width, values.size());
    std::string line;
    for (std::size_t column = 0; column < columns; ++column) {
        const double value = values[(column + 1) * values.size() / columns - 1];
        if (!std::isfinite(value)) {
            line += ' ';
            continue;
        }
        const double height = high > low ? (value - low) / (high - low) : 0;
        line += levels[static_cast<std::size_t>(std::lround(height * (levels.size() - 1)))];
    }
    return line;
}

} // namespace evictlab::report
