// Small suites to run evolution on, and what a run left behind.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "evolution/candidate.hpp"
#include "evolution/setup.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "framework/plugin/host.hpp"
#include "state/store.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

namespace evictlab::test {

inline Suite small_micro(std::uint64_t test_seed_offset = 0) {
    SuiteOptions options;
    options.patterns = 2;
    options.seq_len = 24;
    options.num_layers = 2;
    options.test_seed_offset = test_seed_offset;
    return make_suite("micro", options);
}

/// A captured suite, made up: three documents of train, two of valid and one of test.
class SmallCaptured {
public:
    TemporaryFolder folder;
    Suite suite;

    SmallCaptured() : suite(make()) {}

private:
    Suite make() const {
        std::vector<TraceShape> shapes;
        for (const char* split : {"train", "train", "train", "valid", "valid", "test"}) {
            TraceShape shape;
            shape.tokens = 48;
            shape.prompt = 36;
            shape.split = split;
            shape.seed = static_cast<std::uint32_t>(shapes.size() + 1);
            shape.document = "document " + std::to_string(shape.seed);
            shapes.push_back(shape);
        }
        write_suite(folder.path, shapes);
        return open_captured_suite(folder.path);
    }
};

/// The built plugins alone, whatever the environment names.
inline PluginHost& built_plugins() {
    static PluginHost host(std::vector<std::filesystem::path>{EVICTLAB_PLUGIN_FOLDER});
    return host;
}

/// A new run's, or that of the run in the file.
inline state::RunStore store_in(const std::filesystem::path& file) {
    return std::filesystem::exists(file) ? state::RunStore::resume(file) : state::RunStore::create(file);
}

inline evolution::RunIdentity identity_on(const Suite& suite) {
    evolution::RunIdentity identity;
    identity.suite = suite.name();
    identity.suite_hash = suite.hash();
    identity.suite_parameters_json = suite.parameters_json();
    identity.build = "test";
    identity.command = "a command";
    return identity;
}

inline std::vector<evolution::Candidate> candidates_of(const std::filesystem::path& file) {
    std::vector<evolution::Candidate> all;
    const std::string name = file.string() + ".journal";
    state::read_journal(
        file, [&](const Json& line) { all.push_back(evolution::candidate_from_json(JsonField(line, name))); });
    return all;
}

/// Everything of a saved run that must be equal for equal runs; `but` are further keys in which they may differ.
inline std::string saved_run(const std::filesystem::path& file, std::initializer_list<const char*> but = {}) {
    Json content = state::read_state(file);
    content.erase("times");
    for (const char* key : but) content.erase(key);
    return content.dump() + "\n" + bytes_of(file.string() + ".journal");
}

} // namespace evictlab::test
