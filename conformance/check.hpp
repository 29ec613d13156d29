// A plugin checked: each test in a process of its own.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "conformance/test.hpp"
#include "isolation/worker_pool.hpp"

namespace evictlab::conformance {

struct Result {
    const Test* test = nullptr;
    Finding finding;
};

/// Runs the tests in order, and calls `told` after each. `only`: names of tests, which then run with what they need;
/// empty: all. A test whose need did not pass is skipped. Throws Error where no process can be had, Interrupted.
std::vector<Result> check_plugin(const std::filesystem::path& file, isolation::WorkerPool& pool,
                                 const std::vector<std::string>& only, const std::function<void(const Result&)>& told);

/// How many have that outcome.
std::size_t count(const std::vector<Result>& results, Outcome outcome);
/// One test as lines for people; what is well has one.
std::string text_of(const Result& result);
/// All as JSON: {"schema": "evictlab-check/1", "file", "tests": [{"name", "verdict", "expected", "seen", "mend"}], and
/// how many passed, warned, failed and were skipped}.
std::string json_of(const std::filesystem::path& file, const std::vector<Result>& results);

} // namespace evictlab::conformance
