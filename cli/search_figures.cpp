// SPDX-License-Identifier: MIT
#include "cli/search_figures.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/text/quoting.hpp"
#include "cli/destinations.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "evolution/shown.hpp"
#include "evolution/yardsticks_file.hpp"
#include "report/cells.hpp"
#include "report/run_text.hpp"

namespace evictlab::cli {
namespace {

evolution::ReferenceHooks reference_hooks(std::optional<ProgressBar>& bar, const Suite*& on) {
    evolution::ReferenceHooks hooks;
    hooks.stop = &interrupted();
    hooks.progress = [&bar, &on](const Suite& suite, double fraction) {
        if (std::exchange(on, &suite) != &suite) bar.emplace("published rows on " + suite.name());
        bar->update(fraction);
    };
    return hooks;
}

std::string documents_text(const evolution::SearchSuites& search) {
    std::string text;
    for (const Suite& suite : search.suites)
        text += fmt::format("{}{} train and {} valid {}{}", text.empty() ? "" : ", ", suite.size(Split::train),
                            suite.size(Split::valid), suite.captured() ? "documents" : "patterns",
                            search.suites.size() > 1 ? " of " + suite.name() : "");
    return text;
}

} // namespace

void measure_references(evolution::SearchSuites& search, PluginHost& host) {
    std::optional<ProgressBar> bar;
    const Suite* on = nullptr;
    evolution::measure_references(search, host, reference_hooks(bar, on));
}

void measure_yardsticks(evolution::SearchSuites& search, const PluginHost& host) {
    if (search.yardsticks) return;
    std::optional<ProgressBar> bar;
    const Suite* on = nullptr;
    search.yardsticks = evolution::measure_yardsticks(search, host, reference_hooks(bar, on));
}

void keep_yardsticks(const evolution::SearchSuites& search, const evolution::RunSetup& setup,
                     const std::string& state_file) {
    if (!search.yardsticks) return;
    try {
        evolution::write_yardsticks(state_file, setup, search.all_retentions(), *search.yardsticks);
    } catch (const Error& error) {
        complain(fmt::format("evictlab status will not know the oracle of this run: {}", error.what()));
    }
}

report::Standing standing_in(const evolution::SearchSuites& search, const evolution::RunConfig& config) {
    report::Standing standing;
    standing.measure = search.measures.front();
    standing.start_name = config.start;
    standing.relative = search.relative();
    standing.measures = search.measures;
    standing.yardsticks = search.yardsticks;
    return standing;
}

void print_outcome(const evolution::SearchSuites& search, const evolution::RunResult& result,
                   const evolution::RunConfig& config, const std::string& state_file,
                   std::optional<std::size_t> width) {
    const evolution::Candidate& champion = result.state.champion();
    const report::Standing standing = report::standing_between(standing_in(search, config), result.state);
    report::LabelledLines lines(width);
    lines.say("champion", shown_text(champion.genome));
    std::string text =
        lines.take() + destinations_text(champion.genome, width) + "\n" + report::standing_text(standing, width) + "\n";
    const auto [what, how] = report::figures_text(standing);
    lines.say("figures", what);
    lines.say("", how);
    lines.say("", fmt::format("of {}; test stays closed until a report", documents_text(search)));
    for (const std::string& claim : report::claims_of(standing)) lines.say("", claim);
    if (const std::string behind = report::behind_text(standing); !behind.empty()) lines.say("attention", behind);
    if (const auto& verdict = champion.verdict; verdict && verdict->valid)
        lines.say("KL", fmt::format("{} on train, {} on valid, inside the model", verdict->train.average,
                                    verdict->valid->average));
    const evolution::Counters& counters = result.state.counters;
    lines.say("made", fmt::format("{} {} measured in {}, {} duplicates left out", counters.evaluations,
                                  report::made_text(config.tunes),
                                  report::counted(result.state.generation, "generation"), counters.duplicates));
    if (counters.refused > 0) lines.say("", fmt::format("{} parameter sets refused by the plugin", counters.refused));
    if (counters.semantic_duplicates > 0)
        lines.say("", fmt::format("{} semantic duplicates left out", counters.semantic_duplicates));
    if (counters.raced_out > 0) lines.say("", fmt::format("{} candidates left the race early", counters.raced_out));
    lines.say("stopped", result.state.stop_reason);
    lines.say("next",
              fmt::format("evictlab report --state {} --output leaderboard.md", text::shell_quoted(state_file)));
    print(text + lines.take());
}

} // namespace evictlab::cli
