// What a run's figures stand between, kept beside its state for those who watch it: measuring it takes the suite. It
// is no part of the run: without the file, or with one of another run, nothing is known.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <optional>
#include <span>

#include "evolution/setup.hpp"
#include "evolution/yardsticks.hpp"

namespace evictlab::evolution {

inline constexpr const char* yardsticks_ending = ".yardsticks"; ///< behind the state file's name

/// Throws Error where it cannot be written.
void write_yardsticks(const std::filesystem::path& state_file, const RunSetup& setup,
                      std::span<const double> retentions, const Yardsticks& yardsticks);
/// Those of a run on these suites, measures, retentions and shape, with these references; nothing where they are not
/// there, damaged, or another's.
std::optional<Yardsticks> read_yardsticks(const std::filesystem::path& state_file, const RunSetup& setup,
                                          std::span<const double> retentions);

} // namespace evictlab::evolution
