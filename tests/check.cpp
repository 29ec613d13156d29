// evictlab check: what is shipped passes every test, and what is wrong with a plugin is found by the test for it.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "conformance/check.hpp"
#include "framework/plugin/host.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/isolated.hpp"
#include "tests/support/process.hpp"

using namespace evictlab;
using namespace evictlab::test;
using conformance::Result;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

const fs::path zoo = EVICTLAB_ZOO;
const bool sanitized = !std::string(EVICTLAB_SANITIZE).empty();

std::vector<Result> check(const fs::path& file, const std::vector<std::string>& only, double timeout = 600) {
    isolation::Settings settings = worker_settings(timeout);
    settings.limits.memory = 2048;
    isolation::WorkerPool pool(settings);
    return conformance::check_plugin(file, pool, only, [](const Result&) {});
}

std::vector<fs::path> built_in() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(builtin_plugin_folder()))
        if (entry.path().extension() == ".so") files.push_back(entry.path());
    return files;
}

} // namespace

TEST_CASE("every built-in plugin passes every test, without a warning") {
    for (const fs::path& file : built_in())
        for (const Result& result : check(file, {})) {
            INFO(file << "\n" << conformance::text_of(result));
            CHECK((result.finding.outcome == conformance::Outcome::passed ||
                   result.finding.outcome == conformance::Outcome::skipped));
        }
}

TEST_CASE("each kind of mistake is found by the test for it, and told") {
    const auto [name, test, seen] = GENERATE(table<std::string, std::string, std::string>({
        {"wrong_abi", "header", "of ABI 9."},
        {"careless/says_little", "version", "'one'"},
        {"careless/says_little", "texts", "says_little's description is empty"},
        {"careless/claims_much", "standing", "the formula of preset 'paper'"},
        {"careless/says_little", "unknown-extension", "gives something for the id"},
        {"careless/says_little", "unused-columns", "no score follows from 'key_norm'"},
        {"careless/says_little", "layer-budgets", "2 of 1 tokens are to be kept"},
        {"careless/favours_first", "layer-budgets", "layers 0 to 3 keep 1, 0, 0, 0 of 1 tokens"},
        {"careless/overspends", "model-budgets", "layer 0: head 0: 2 of 1 tokens are to be kept"},
        {"careless/doubts_models", "model-scores", "layer 0: a score is NaN once all layers are scored"},
        {"moody", "parameter-ends", "moody:mood=7: score"},
        {"returns_early", "ordinary-batch", "head 1, position 94: no score was written"},
        {"nan_scores", "ordinary-batch", "the score is NaN"},
        {"writes_before", "ordinary-batch", "before its scores"},
        {"writes_behind", "ordinary-batch", "behind its scores"},
        {"null_dereference", "ordinary-batch", "SIGSEGV"},
        {"exits", "ordinary-batch", "exit code 7"},
        {"careless/divides", "zeros", "the score is NaN"},
        {"random_scores", "deterministic", "1.00"},
        {"careless/remembers", "no-history", "and 500"},
        {"careless/ignores_stride", "layout", "head 1, position 0"},
        {"careless/compares_size", "newer-host", "status 1"},
        {"careless/shares_scratch", "concurrent", "head 0, position 0"},
        {"careless/shares_scratch", "parallel-instances", "head 0, position 0"},
        {"careless/reads_undeclared", "undeclared-columns", "read a column that it did not declare"},
        {"writes_columns", "batch-kept", "others after score"},
        {"careless/opens_files", "nothing-left", "descriptors are open"},
        {"lingering_thread", "nothing-left", "threads are there"},
        {"prints_megabytes", "quiet", "bytes are printed"},
        {"rounds_upward", "environment", "floating-point mode"},
        {"changes_locale", "environment", "locale"},
    }));
    INFO(name << " " << test);
    const auto results = check(zoo / (name + ".so"), {test});
    const Result& found = results.back();
    CHECK(found.test->name == test);
    CHECK((found.finding.outcome == conformance::Outcome::failed ||
           found.finding.outcome == conformance::Outcome::warned));
    // A sanitizer looks at signals, and at what leaks where a process exits, and ends it with a code of its own.
    const bool in_other_words = sanitized && (seen == "SIGSEGV" || seen == "exit code 7");
    CHECK_THAT(found.finding.seen, ContainsSubstring(in_other_words ? "ended its process" : seen));
    // What it needs is well: the finding is of this test alone.
    CHECK(std::ranges::all_of(results.begin(), results.end() - 1, [](const Result& result) {
        return result.finding.outcome == conformance::Outcome::passed;
    }));
}

TEST_CASE("memory that is not given back is counted in bytes") {
    if (sanitized) return; // there nobody counts, and the test says so
    const auto results = check(zoo / "careless/keeps_memory.so", {"memory-given-back"});
    CHECK(results.back().finding.outcome == conformance::Outcome::failed);
    CHECK_THAT(results.back().finding.seen, ContainsSubstring("bytes more are allocated after 200 instances"));
}

TEST_CASE("a plugin that never comes back fails one test, and those that need it are not waited for") {
    const auto results = check(zoo / "loop_in_create.so", {}, 1);
    CHECK(conformance::count(results, conformance::Outcome::failed) == 1);
    CHECK(conformance::count(results, conformance::Outcome::skipped) > 20);
    const auto slow = check(zoo / "careless/squares.so", {"many-tokens"}, 1);
    CHECK_THAT(slow.back().finding.seen, ContainsSubstring("no answer within 1 s"));
}

TEST_CASE("a file that is no plugin fails the first tests") {
    const TemporaryFolder folder;
    put(folder / "text.so", "not a library");
    const auto results = check(folder / "text.so", {});
    CHECK(results.size() == conformance::tests().size());
    CHECK(results.front().finding.seen == "not a shared library");
    CHECK(conformance::count(results, conformance::Outcome::failed) == 1);
    CHECK(conformance::count(results, conformance::Outcome::skipped) == results.size() - 1);
}

TEST_CASE("each test has a name of its own, and comes behind what it needs") {
    std::set<std::string_view> names;
    for (const conformance::Test& test : conformance::tests()) {
        INFO(test.name);
        CHECK((test.needs.empty() || names.contains(test.needs)));
        CHECK(names.insert(test.name).second);
        CHECK((!test.expected.empty() && !test.mend.empty()));
    }
}

TEST_CASE("evictlab check as it is typed") {
    const Outcome well = shell("evictlab check h2o");
    CHECK(well.code == 0);
    CHECK_THAT(well.out, ContainsSubstring("passed   zeros\n") && ContainsSubstring("h2o.so: none of 37 tests failed"));
    const std::string divides = (zoo / "careless/divides.so").string();
    const Outcome ill = shell("evictlab check " + divides + " --only zeros");
    CHECK(ill.code == 1);
    CHECK_THAT(ill.out, ContainsSubstring("failed   zeros\n         expected  ") &&
                            ContainsSubstring("         seen      divides: score: ") &&
                            ContainsSubstring("         mend      guard what has no value there") &&
                            ContainsSubstring("divides.so: 1 of 7 tests failed"));
    const Outcome machine = shell("evictlab check --json --only zeros " + divides);
    CHECK(machine.code == 1);
    const Json json = Json::parse(machine.out);
    CHECK(json.at("schema") == "evictlab-check/1");
    CHECK(json.at("failed") == 1);
    CHECK(json.at("passed") == 6);
    CHECK(json.at("tests").back().at("name") == "zeros");
    CHECK(json.at("tests").back().at("verdict") == "failed");
    CHECK(json.at("tests").back().contains("mend"));
    CHECK_THAT(shell("evictlab check --list").out, ContainsSubstring("undeclared-columns   no look at a column"));
    for (const std::string wrong : {"", "h2o tova", "nothing_of_that_name", "no/such.so", "h2o --only nothing"}) {
        INFO(wrong);
        const Outcome refused = shell("evictlab check " + wrong);
        CHECK(refused.code == 2);
        CHECK(refused.err.starts_with("evictlab: "));
    }
}
