// The command line's run, killed with SIGKILL at random moments and resumed each time until it is finished.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

using Words = std::vector<std::string>;

/// Options of a small run on a synthetic suite.
extern const Words small_micro_options;

/// Runs with these options and kills, over and over, until that many kills have hit. After each kill no generation that
/// was acknowledged is lost: neither one that the output told of, nor one that was saved before, nor a line of the
/// journal; each run ends in the bits of one that was never killed. With `workers`, further options by which the runs
/// that are killed have fitness workers, one of these is killed now and then, too. Asserts by Catch.
void check_kills(const TemporaryFolder& folder, const Words& options, int wanted, const Words& workers = {});

} // namespace evictlab::test
