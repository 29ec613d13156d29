// The command line's run, killed with SIGKILL at random moments and resumed each time, ends as one that never was.
// tests/evolution_kill_slow.cpp has a thousand kills. SPDX-License-Identifier: MIT
#include "tests/support/catch.hpp"
#include "tests/support/killed_runs.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab::test;
namespace fs = std::filesystem;

namespace {

/// A small captured suite, made up.
struct CapturedFolder {
    TemporaryFolder folder;
    fs::path suite = folder / "suite";

    CapturedFolder() {
        std::vector<TraceShape> shapes;
        for (const char* split : {"train", "train", "valid", "test"}) {
            TraceShape shape;
            shape.split = split;
            shape.seed = static_cast<std::uint32_t>(shapes.size() + 1);
            shape.document = "document " + std::to_string(shape.seed);
            shapes.push_back(shape);
        }
        fs::create_directory(suite);
        write_suite(suite, shapes);
    }
};

} // namespace

TEST_CASE("thirty kills and resumes lose nothing that was acknowledged and end in the bits of undisturbed runs") {
    const TemporaryFolder folder;
    check_kills(folder, small_micro_options, 30);
}

TEST_CASE("kills and resumes end in the same bits on a captured suite with every way to select and to save work") {
    const CapturedFolder captured;
    check_kills(captured.folder,
                {"--suite", captured.suite, "--start", "window_attn:16", "--parents", "lexicase", "--islands", "3",
                 "--migration", "2", "--archive", "0.2", "--semantic-duplicates", "skip", "--race", "on"},
                12);
}

TEST_CASE("kills and resumes end in the same bits where a plugin is tuned") {
    const CapturedFolder captured;
    check_kills(captured.folder, {"--suite", captured.suite, "--tune", "snapkv@kvpress:window=4"}, 6);
}

TEST_CASE("kills of a run and of its fitness workers lose nothing and end in the bits of one process") {
    const CapturedFolder captured;
    check_kills(
        captured.folder,
        {"--suite", captured.suite, "--start", "window_attn:16", "--semantic-duplicates", "skip", "--race", "on"}, 3,
        {"--fitness-workers", "2"});
}
