// Fuzz target: a run's journals. The input is a journal of candidates that belongs to a saved run, as the state records
// it, and a journal of exchanges. SPDX-License-Identifier: MIT
#include "evolution/candidate.hpp"
#include "state/answer_journal.hpp"
#include "state/document.hpp"
#include "state/store.hpp"
#include "tests/fuzz/disk_target.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const fs::path file = fs::path(test::MemoryDisk::folder) / "evolution.json";
const std::string journal = file.string() + ".journal";

/// The mark of a journal all of whose whole lines were saved.
state::JournalMark mark_of(std::string_view text) {
    state::JournalMark mark;
    for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
        mark.add(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return mark;
}

void read_candidates(test::MemoryDisk& disk) {
    state::read_journal(
        file, [](const state::Json& line) { evolution::candidate_from_json(JsonField(line, journal)); }, disk);
}

void read_answers(test::MemoryDisk& disk) {
    auto answers = state::AnswerJournal::resume(journal, disk);
    const std::size_t before = answers.size();
    answers.remember("a key of the fuzz target", 1);
    fuzz::require(state::AnswerJournal::resume(journal, disk).size() == before + 1, "an answer is remembered");
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    test::MemoryDisk disk;
    state::Document document{mark_of(text), {{"generation", 1}}};
    disk.put(file, state::encode(document, file));
    disk.put(journal, std::string(text));
    fuzz::with_errors(disk, read_candidates);
    fuzz::with_errors(disk, [](test::MemoryDisk& on) { state::RunStore::resume(file, on); });
    disk.put(journal, std::string(text));
    fuzz::with_errors(disk, read_answers);
    return 0;
}
