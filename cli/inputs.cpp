// SPDX-License-Identifier: MIT
#include "cli/inputs.hpp"

#include <fmt/format.h>

#include "base/text/shown.hpp"
#include "evolution/external/proposer.hpp"
#include "evolution/external/verdict_judge.hpp"
#include "evolution/yardsticks_file.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suites.hpp"
#include "framework/scorers/name.hpp"
#include "state/store.hpp"

namespace evictlab::cli {
namespace {

namespace fs = std::filesystem;

/// Also where neither is there yet: a run makes the files beside its state when it goes on.
bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code error;
    if (fs::equivalent(a, b, error)) return true;
    const fs::path left = fs::weakly_canonical(a, error), right = fs::weakly_canonical(b, error);
    return !left.empty() && left == right;
}

} // namespace

void Inputs::add(const fs::path& file) { files_.push_back(file); }

void Inputs::add_run(const fs::path& state_file) {
    for (const fs::path& file : state::files_of_run(state_file)) files_.push_back(file);
    for (const char* ending : {evolution::verdicts_ending, evolution::proposals_ending, evolution::yardsticks_ending})
        files_.push_back(state_file.string() + ending);
}

void Inputs::add_suite(std::string_view name) {
    if (is_synthetic_suite(name)) return;
    const auto folder = find_captured_suite(name);
    std::error_code error;
    if (!folder) return;
    for (const auto& entry : fs::directory_iterator(*folder, error)) files_.push_back(entry.path());
}

void Inputs::add_scorers(std::string_view text) {
    for (const std::string& file : files_in_scorer_list(text)) files_.emplace_back(file);
}

void Inputs::add_plugins(const PluginHost& host) {
    for (const auto& plugin : host.plugins()) files_.push_back(plugin->file());
}

void Inputs::check_output(std::string_view option, const fs::path& output) const {
    for (const fs::path& file : files_)
        if (same_file(output, file))
            throw UsageError(fmt::format("{} {} is a file that this command reads ({}), and is not overwritten: name "
                                         "another one",
                                         option, text::named(output.string(), text::all),
                                         text::named(file.string(), text::all)));
}

} // namespace evictlab::cli
