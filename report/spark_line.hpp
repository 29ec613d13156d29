// A series of figures as one line of text, so that a run's way down is seen at a glance.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace evictlab::report {

enum class Glyphs : std::uint8_t { ascii, unicode };

/// unicode where the environment's locale (LC_ALL, LC_CTYPE or LANG, the first that is set) is UTF-8.
Glyphs glyphs_of_environment();

/// At most `width` columns, each the last value of its part of the series; the lowest value is ▁ ('_'), the highest █
/// ('#'), equal values are all lowest. A value that is not finite is a blank.
std::string spark_line(std::span<const double> values, std::size_t width, Glyphs glyphs);

} // namespace evictlab::report
