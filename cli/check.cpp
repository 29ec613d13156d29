// evictlab check: whether a plugin keeps the contract.
// SPDX-License-Identifier: MIT
#include "conformance/check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text/quoting.hpp"
#include "base/text/suggestion.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "framework/scorers/name.hpp"

namespace evictlab::cli {
namespace {

namespace fs = std::filesystem;
using conformance::Outcome;

constexpr std::string_view usage =
    "Usage: evictlab check PLUGIN [--only TEST]... [--json]\n\n"
    "Tests whether a plugin keeps the contract of evictlab/scorer.h: a library by its path, or one that `evictlab\n"
    "plugins` lists, by its id or any scorer's name that begins with it. Each test runs in a process of its own; what "
    "fails is told with what was expected, "
    "what\n"
    "was seen and how to mend it. Exit code 1 where a test failed; a warning is none.";

constexpr std::string_view examples = "  evictlab check build/my_scorer.so\n"
                                      "  evictlab check h2o\n"
                                      "  evictlab check build/my_scorer.so --only zeros --only one-token\n"
                                      "  evictlab check build/my_scorer.so --json > check.json\n"
                                      "  evictlab check --list\n";

po::options_description check_options() {
    po::options_description options("Options");
    options.add_options()("only", po::value<std::vector<std::string>>()->composing()->value_name("TEST"),
                          "run this test, and those without which it says nothing (may be repeated)")(
        "json", "the result as JSON")("list", "list the tests, and run none");
    add_plugin_folders(options);
    add_worker_options(options);
    return options;
}

void list() {
    for (const conformance::Test& test : conformance::tests()) say("{:<20} {}\n", test.name, test.expected);
}

std::vector<std::string> tests_from(const po::variables_map& values) {
    if (!values.contains("only")) return {};
    const auto& names = values["only"].as<std::vector<std::string>>();
    for (const std::string& name : names)
        if (!conformance::find_test(name))
            throw UsageError(fmt::format("--only '{}' is no test; evictlab check --list lists them", name));
    return names;
}

fs::path file_from(const std::string& word, const po::variables_map& values,
                   const std::shared_ptr<isolation::WorkerPool>& pool) {
    const ScorerName name = parse_scorer_name(word);
    if (name.is_library() || (!name.is_formula() && word.find('/') != std::string::npos)) {
        const std::string& file = name.is_library() ? name.id : word;
        if (!fs::exists(file)) throw UsageError(fmt::format("'{}': no such file", file));
        return file;
    }
    if (name.is_formula())
        throw UsageError(fmt::format("'{}' is a formula, which keeps the contract by itself; evictlab formula check "
                                     "says whether it is a right one",
                                     word));
    const PluginHost host = isolated_host_from(values, pool);
    const auto plugin = host.find(name.id);
    std::vector<std::string> known;
    for (const auto& each : host.plugins()) known.push_back(each->id());
    if (!plugin)
        throw UsageError(
            fmt::format("no plugin '{}': name a library by its path, or one that `evictlab plugins` lists{}", name.id,
                        text::what_there_is(name.id, known, "plugin")));
    return plugin->file();
}

void tell(const conformance::Result& result) { print(conformance::text_of(result)); }

void summarise(const fs::path& file, const std::vector<conformance::Result>& results) {
    const auto part = [&](Outcome outcome, std::string_view word) {
        const std::size_t number = conformance::count(results, outcome);
        return number == 0 ? std::string() : fmt::format(", {} {}", number, word);
    };
    const std::size_t failed = conformance::count(results, Outcome::failed);
    say("\n{}: {} of {} tests failed{}{}\n", file.filename().string(), failed == 0 ? "none" : std::to_string(failed),
        results.size(), part(Outcome::warned, "warned"), part(Outcome::skipped, "skipped"));
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, check_options(), "plugin", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["plugin"].as<std::vector<std::string>>();
    if (values->contains("list")) {
        list();
        return exit_ok;
    }
    if (words.size() != 1) throw UsageError("expected one PLUGIN, a library or an id; see --help");
    const std::vector<std::string> only = tests_from(*values);
    const auto pool = std::make_shared<isolation::WorkerPool>(worker_settings_from(*values));
    const fs::path file = file_from(words[0], *values, pool);
    const bool json = values->contains("json");
    const auto results = conformance::check_plugin(file, *pool, only, [json](const conformance::Result& result) {
        if (!json) tell(result);
    });
    if (json)
        print(text::json(conformance::json_of(file, results)));
    else
        summarise(file, results);
    return conformance::count(results, Outcome::failed) == 0 ? exit_ok : exit_failure;
}

} // namespace

const Command check_command{"check", "test whether a plugin keeps the contract", run, check_options, "plugin"};

} // namespace evictlab::cli
