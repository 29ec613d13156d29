// Options that several commands share: which suite, how many threads.
// SPDX-License-Identifier: MIT
#pragma once
#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/text/number.hpp"
#include "cli/command.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab::cli {

/// text::number() of an option; nothing where it is not given.
template <class Number>
std::optional<Number> number_from(const po::variables_map& values, const char* option, std::string_view expected) {
    if (!values.contains(option)) return std::nullopt;
    return text::number<Number>(option, values[option].as<std::string>(), expected);
}

/// The same into `to`, which stays as it is where the option is not given.
template <class Number, class To>
void read_number(const po::variables_map& values, const char* option, std::string_view expected, To& to) {
    if (const auto typed = number_from<Number>(values, option, expected)) to = *typed;
}

/// `several`: whether --suite may be repeated.
void add_suite_options(po::options_description& options, bool several = false);
/// Throws UsageError where --suite is missing or does not fit the sizes, or one is given twice.
Suite suite_from(const po::variables_map& values);
std::vector<Suite> suites_from(const po::variables_map& values); ///< at least one; where several were allowed
/// The suite options as one would type them again.
std::string suite_options_text(const po::variables_map& values);

void add_run_options(po::options_description& options); ///< --retention, --threads
/// `otherwise` where none are given.
std::vector<double> retentions_from(const po::variables_map& values, const std::vector<double>& otherwise);
int threads_from(const po::variables_map& values);

/// The one argument STATE of a command about a run; UsageError where there is none, or more.
std::string state_argument(const po::variables_map& values);

} // namespace evictlab::cli
