// Fuzz target: evolution.json. The input is taken as the whole file, and, so that the search gets past the checksum, as
// the content of a file whose checksum fits. What is then taken for a run goes on for a generation, on a suite that
// takes no time, with a journal that names the candidates which the content does. SPDX-License-Identifier: MIT
#include <set>

#include "evolution/run.hpp"
#include "evolution/saved_run.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/rescore_fitness.hpp"
#include "state/document.hpp"
#include "state/journal.hpp"
#include "state/store.hpp"
#include "tests/fuzz/disk_target.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const fs::path file = fs::path(test::MemoryDisk::folder) / "evolution.json";

void read_as_a_run(test::MemoryDisk& disk) {
    const std::string name = file.string();
    const Json json = state::read_state(file, disk);
    const evolution::SavedRun run = evolution::saved_run(JsonField(json, name));
    evolution::check_resumable(json, run.setup, run.retentions);
    Json again = evolution::to_json(run.setup, run.retentions);
    write_state(run.state, again);
    fuzz::require(evolution::saved_run(JsonField(again, name)).state.champion().genome.text() ==
                      run.state.champion().genome.text(),
                  "what is written is read as the same run");
}

/// Opened for going on, too: the journal is missing, or empty.
void open(test::MemoryDisk& disk) {
    const state::RunStore store = state::RunStore::resume(file, disk);
    fuzz::require(store.file() == file, "a run that was opened");
}

/// A line for each candidate that the content names, and others until there are as many as it counts.
std::vector<std::string> journal_for(const Json& run) {
    std::vector<std::string> lines;
    std::set<std::string> ids;
    const auto add = [&](const std::string& id, const std::string& hash) {
        if (!ids.insert(id).second) return;
        lines.push_back(
            Json{{"id", id}, {"generation", 0}, {"hash", hash}, {"nodes", 1}, {"kept_hash", nullptr}}.dump());
    };
    for (const char* key : {"champions", "population", "archive"})
        for (const Json& one : run.value(key, Json::array()))
            add(one.at("id").get<std::string>(), one.at("hash").get<std::string>());
    for (const Json& champion : run.at("champions"))
        for (const Json& parent : champion.at("parents")) add(parent.get<std::string>(), "1");
    const auto counted = run.at("counters").at("candidates").get<std::uint64_t>();
    for (std::uint64_t i = 0; lines.size() < std::min<std::uint64_t>(counted, 2000); ++i)
        add("g0-s" + std::to_string(1'000'000 + i), "2");
    return lines;
}

const RescoreFitness& tiny_fitness() {
    static const RescoreFitness fitness = [] {
        SuiteOptions options;
        options.patterns = options.num_layers = 1;
        options.seq_len = 16;
        return RescoreFitness(make_suite("micro", options).search_traces(), {0.25, 0.5, 0.75});
    }();
    return fitness;
}

void go_on(test::MemoryDisk& disk) {
    const std::string name = file.string();
    auto store = state::RunStore::resume(file, disk);
    evolution::RunSetup setup = evolution::saved_run(JsonField(store.content(), name)).setup;
    const evolution::RunConfig& config = setup.config;
    const bool quick = !config.tunes && config.population <= 64 && config.tuned <= 2 && config.max_nodes <= 200 &&
                       config.tuning_evaluations <= 50 && config.asked_of_model == 0 && config.proposals == 0;
    if (!quick) return;
    setup.limits = {};
    setup.limits.generations = store.content().at("generation").get<std::uint32_t>() + 1;
    evolution::run_evolution(setup, tiny_fitness(), store);
}

void write(state::Document document, test::MemoryDisk& disk) {
    std::string journal;
    try {
        const std::vector<std::string> lines = journal_for(document.run);
        document.journal = state::extended({}, lines);
        for (const std::string& line : lines) (journal += line) += '\n';
    } catch (const Json::exception&) { // no run at all
    } catch (const std::invalid_argument&) {
    }
    disk.put(file, state::encode(document, file));
    disk.put(file.string() + ".journal", journal);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(fuzz::text_of(data, size));
    test::MemoryDisk disk;
    disk.put(file, text);
    disk.put(file.string() + ".journal", "");
    fuzz::with_errors(disk, read_as_a_run);
    fuzz::with_errors(disk, open);
    try {
        state::Document document;
        document.run = state::parse_checked(text, "the input");
        write(std::move(document), disk);
    } catch (const state::StateError&) {
        return 0;
    }
    fuzz::with_errors(disk, read_as_a_run);
    fuzz::with_errors(disk, open);
    fuzz::with_errors(disk, go_on);
    return 0;
}
