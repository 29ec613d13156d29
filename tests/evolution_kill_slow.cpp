// As tests/evolution_kill.cpp, a thousand times. Not among the quick tests:
//   ctest --test-dir build/release -L slow -R evolution_kill --output-on-failure
// SPDX-License-Identifier: MIT
#include "tests/support/catch.hpp"
#include "tests/support/killed_runs.hpp"

using namespace evictlab::test;

TEST_CASE("a thousand kills and resumes lose nothing that was acknowledged and end in the bits of undisturbed runs") {
    const TemporaryFolder folder;
    check_kills(folder, small_micro_options, 1000);
}

TEST_CASE("two hundred kills of runs and of their fitness workers end in the bits of one process") {
    const TemporaryFolder folder;
    check_kills(folder, small_micro_options, 200, {"--fitness-workers", "2"});
}
