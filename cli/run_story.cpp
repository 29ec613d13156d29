// SPDX-License-Identifier: MIT
#include "cli/run_story.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/input/stop.hpp"
#include "base/output/write_file.hpp"
#include "cli/destinations.hpp"
#include "cli/interrupt.hpp"
#include "report/run_page.hpp"

namespace evictlab::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int refresh_seconds = 5;

std::vector<fs::file_time_type> saved_at(std::span<const fs::path> files) {
    std::vector<fs::file_time_type> times;
    std::error_code gone; // a run that is saved just now; reading it will tell
    for (const auto& file : files) times.push_back(fs::last_write_time(file, gone));
    return times;
}

/// Until a run has saved, or may have ended without.
void wait_for_change(std::span<const fs::path> files, const std::vector<fs::file_time_type>& before) {
    const auto until = Clock::now() + std::chrono::seconds(refresh_seconds);
    while (!interrupted() && Clock::now() < until && saved_at(files) == before)
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

} // namespace

void write_run_story(std::span<const fs::path> state_files, const fs::path& output, bool follow) {
    const input::HoldStop held;
    for (;;) {
        const auto before = saved_at(state_files);
        auto page = report::run_page_json(state_files);
        for (Json& run : page["runs"]) add_refusals(run["status"]);
        const bool go_on = follow && !interrupted() && std::ranges::any_of(page["runs"], [](const auto& run) {
                               return run["status"]["running"].template get<bool>();
                           });
        write_file(output, report::to_run_page(page, go_on ? std::optional(refresh_seconds) : std::nullopt));
        if (!go_on) return;
        wait_for_change(state_files, before);
    }
}

} // namespace evictlab::cli
