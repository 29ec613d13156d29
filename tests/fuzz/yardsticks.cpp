// Fuzz target: STATE.yardsticks. The input is taken as the whole file, and, so that the search gets past whose it is,
// with the key of a run put in. What is then taken for that run's goes into all that `status` says.
// SPDX-License-Identifier: MIT
#include "base/error.hpp"
#include "base/json/json_field.hpp"
#include "evolution/yardsticks_file.hpp"
#include "report/run_status.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const std::vector<double> retentions{0.25, 0.5};

/// Figures of eight documents of valid, so that intervals are told.
evolution::Candidate candidate(const std::string& id, double error) {
    FormulaErrors errors;
    errors.average = error;
    errors.by_retention.assign(retentions.size(), error);
    for (int document = 0; document < 8; ++document)
        errors.by_document.push_back({error + 0.01 * document, error - 0.005 * document});
    evolution::Candidate made;
    made.id = id;
    made.op = "start";
    made.genome = evolution::Genome::verbatim(formula::parse("recent_attn"));
    made.train = errors;
    made.valid = errors;
    return made;
}

report::RunStatus run_on_a_captured_suite() {
    report::RunStatus status;
    evolution::RunIdentity& identity = status.setup.identity;
    identity.suite = "mine";
    identity.suite_parameters_json = R"({"name":"mine"})";
    identity.measure = "output_error";
    identity.reference = {{{1, 1}, {1, 1}}};
    status.state.champions = {candidate("g0-s0", 0.9), candidate("g1-s1", 0.8)};
    status.state.history = {{1, 0.8, 0.8, 0.8, 10}};
    return status;
}

/// The state file's place, beside which the input lies.
struct StateFile {
    fuzz::InputFile input;
    test::TemporaryFolder folder;
    fs::path path = folder / "run.json";
    StateFile() { fs::create_symlink(input.path(), path.string() + evolution::yardsticks_ending); }
};

/// By which the file says whose it is.
std::string key_of(const evolution::RunSetup& setup) {
    const test::TemporaryFolder folder;
    const fs::path state = folder / "other.json";
    write_yardsticks(state, setup, retentions, {});
    const std::string written = state.string() + evolution::yardsticks_ending;
    return parse_json(read_text(written, 1U << 20U), written).at("of").get<std::string>();
}

void check(StateFile& file, report::RunStatus status, std::string_view text) {
    file.input.put(text);
    status.yardsticks = read_yardsticks(file.path, status.setup, retentions);
    if (!status.yardsticks) return;
    for (const std::optional<std::size_t> width : {std::optional<std::size_t>{}, std::optional<std::size_t>{60}})
        for (const char c : to_text(status, report::Glyphs::ascii, width))
            fuzz::require(static_cast<unsigned char>(c) >= 0x20 || c == '\n', "status has no control characters");
    const Json json = report::to_json(status);
    fuzz::require(Json::parse(json.dump()) == json, "status is JSON");
    evolution::Yardsticks again = *status.yardsticks;
    const fs::path other = file.folder / "again.json";
    write_yardsticks(other, status.setup, retentions, again);
    const auto read = read_yardsticks(other, status.setup, retentions);
    fuzz::require(read && read->rival_valid == again.rival_valid && read->oracle == again.oracle &&
                      read->published_name == again.published_name,
                  "what is written is read as the same");
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static StateFile file;
    static const report::RunStatus status = run_on_a_captured_suite();
    static const std::string key = key_of(status.setup);
    const std::string text(fuzz::text_of(data, size));
    check(file, status, text);
    try {
        Json json = parse_json(text, "the input");
        if (!json.is_object()) return 0;
        json["of"] = key;
        check(file, status, json.dump());
    } catch (const Error& error) {
        fuzz::check_message(error);
    }
    return 0;
}
