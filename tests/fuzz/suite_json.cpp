// Fuzz target: suite.json of a captured suite. SPDX-License-Identifier: MIT
#include "base/error.hpp"
#include "framework/capture/captured_suite.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

/// A suite's folder whose suite.json is the input.
struct SuiteFolder {
    fuzz::InputFile file;
    test::TemporaryFolder folder;
    SuiteFolder() { fs::create_symlink(file.path(), folder / "suite.json"); }
};

bool stays_inside(const fs::path& path) {
    return path.is_relative() && !path.empty() && *path.lexically_normal().begin() != "..";
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static SuiteFolder suite;
    suite.file.put(fuzz::text_of(data, size));
    try {
        const SuiteManifest manifest = read_suite_manifest(suite.folder.path);
        fuzz::require(!manifest.files.empty(), "a suite has files");
        for (const SuiteFile& file : manifest.files)
            fuzz::require(stays_inside(file.file) && file.split != CapturedSplit::none && file.sha256.size() == 64,
                          "a suite's files lie in its folder, in a split, with a hash");
    } catch (const Error& error) {
        fuzz::check_message(error);
    }
    return 0;
}
