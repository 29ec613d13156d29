// SPDX-License-Identifier: MIT
#include "conformance/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json/json.hpp"
#include "framework/plugin/sealed_library.hpp"
#include "isolation/isolated_library.hpp"

namespace evictlab::conformance {
namespace {

constexpr std::string_view words[] = {"passed", "warned", "failed", "skipped"};

std::string_view to_string(Outcome outcome) { return words[static_cast<std::size_t>(outcome)]; }

/// With all that those need, and again what these need.
std::set<std::string_view> wanted_tests(const std::vector<std::string>& only) {
    std::set<std::string_view> wanted;
    for (const Test& test : tests())
        if (only.empty() || std::ranges::count(only, test.name) > 0)
            for (const Test* needed = &test; needed; needed = find_test(needed->needs)) wanted.insert(needed->name);
    return wanted;
}

Finding ask(isolation::WorkerPool& pool, const Test& test, const SealedLibrary& library) {
    const auto worker = pool.make(&library);
    const std::string text = fmt::format("{}\n{}", test.name, library.file().string());
    isolation::write_behind_request(*worker, text.data(), text.size());
    const isolation::Answer answer = worker->ask({isolation::Command::check, 0, text.size()});
    if (answer.kind != isolation::Answer::Kind::done) return failed(answer.cause);
    const std::uint64_t outcome = worker->number();
    if (outcome > static_cast<std::uint64_t>(Outcome::skipped))
        return failed("wrote over what it shares with the host");
    return {static_cast<Outcome>(outcome), worker->text()};
}

} // namespace

std::vector<Result> check_plugin(const std::filesystem::path& file, isolation::WorkerPool& pool,
                                 const std::vector<std::string>& only, const std::function<void(const Result&)>& told) {
    const std::set<std::string_view> wanted = wanted_tests(only);
    const SealedLibrary library(file);
    std::vector<Result> results;
    std::set<std::string_view> broken;
    for (const Test& test : tests()) {
        if (!wanted.contains(test.name)) continue;
        const bool possible = !broken.contains(test.needs);
        results.push_back({&test, possible ? ask(pool, test, library)
                                           : skipped(fmt::format("without '{}' it says nothing", test.needs))});
        if (!possible || results.back().finding.outcome == Outcome::failed) broken.insert(test.name);
        told(results.back());
    }
    return results;
}

std::size_t count(const std::vector<Result>& results, Outcome outcome) {
    return static_cast<std::size_t>(
        std::ranges::count(results, outcome, [](const Result& result) { return result.finding.outcome; }));
}

std::string text_of(const Result& result) {
    const auto& [test, finding] = result;
    const std::string_view word = to_string(finding.outcome);
    if (finding.outcome == Outcome::passed) return fmt::format("{:<8} {}\n", word, test->name);
    if (finding.outcome == Outcome::skipped) return fmt::format("{:<8} {}: {}\n", word, test->name, finding.seen);
    return fmt::format("{:<8} {}\n         expected  {}\n         seen      {}\n         mend      {}\n", word,
                       test->name, test->expected, finding.seen, test->mend);
}

std::string json_of(const std::filesystem::path& file, const std::vector<Result>& results) {
    Json json{{"schema", "evictlab-check/1"}, {"file", file.string()}};
    for (const Outcome outcome : {Outcome::passed, Outcome::warned, Outcome::failed, Outcome::skipped})
        json[std::string(to_string(outcome))] = count(results, outcome);
    json["tests"] = Json::array();
    for (const auto& [test, finding] : results) {
        Json entry{{"name", test->name}, {"verdict", to_string(finding.outcome)}, {"expected", test->expected}};
        if (!finding.seen.empty()) entry["seen"] = finding.seen;
        const bool amiss = finding.outcome == Outcome::failed || finding.outcome == Outcome::warned;
        if (amiss) entry["mend"] = test->mend;
        json["tests"].push_back(std::move(entry));
    }
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace evictlab::conformance
