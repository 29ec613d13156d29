// Fuzz target: evolution.json. The input is taken as the whole file, and, so that the search gets past the checksum, as
// the content of a file whose checksum fits. SPDX-License-Identifier: MIT
#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"
#include "state/document.hpp"
#include "state/store.hpp"
#include "tests/fuzz/disk_target.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const fs::path file = fs::path(test::MemoryDisk::folder) / "evolution.json";

void read_as_a_run(test::MemoryDisk& disk) {
    const std::string name = file.string();
    const Json json = state::read_state(file, disk);
    const JsonField content(json, name);
    const evolution::RunSetup setup = evolution::saved_setup(content);
    const std::vector<double> retentions = content.member("retentions").numbers();
    const evolution::RunState run = evolution::state_from_json(content);
    evolution::check_resumable(json, setup, retentions);
    Json again = evolution::to_json(setup, retentions);
    write_state(run, again);
    fuzz::require(evolution::state_from_json(JsonField(again, name)).champion().text() == run.champion().text(),
                  "what is written is read as the same run");
}

/// Opened for going on, too: the journal is missing, or empty.
void open(test::MemoryDisk& disk) {
    const state::RunStore store = state::RunStore::resume(file, disk);
    fuzz::require(store.file() == file, "a run that was opened");
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
        disk.put(file, state::encode(document, file));
    } catch (const state::StateError&) {
        return 0;
    }
    fuzz::with_errors(disk, read_as_a_run);
    fuzz::with_errors(disk, open);
    return 0;
}
