// SPDX-License-Identifier: MIT
#include "cli/search_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/statistics/bootstrap.hpp"
#include "base/text/quoting.hpp"
#include "cli/interrupt.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
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

report::Standing standing_in(const evolution::SearchSuites& search, const evolution::RunConfig& config) {
    report::Standing standing;
    standing.measure = search.measures.front();
    standing.start_name = config.start;
    standing.relative = search.relative();
    standing.yardsticks = search.yardsticks;
    return standing;
}

void print_outcome(const evolution::SearchSuites& search, const evolution::RunResult& result,
                   const evolution::RunConfig& config, const std::string& state_file) {
    const evolution::Candidate& champion = result.state.champion();
    const evolution::Candidate& start = result.state.champions.front();
    report::Standing standing = standing_in(search, config);
    standing.start = {start.train.average, start.valid->average};
    standing.champion = {champion.train.average, champion.valid->average};
    say("champion    {}\n", champion.genome.text());
    print("\n" + report::standing_text(standing) + "\n");
    const auto [what, how] = report::figures_text(standing);
    say("figures     {}\n            {}\n", what, how);
    say("            of {}; test stays closed until a report\n", documents_text(search));
    const bool few = std::ranges::any_of(search.suites, [](const Suite& suite) {
        return suite.captured() && suite.size(Split::valid) < documents_for_a_claim;
    });
    if (few) print("            too few to tell the champion from its start or from other rows\n");
    if (const std::string behind = report::behind_text(standing); !behind.empty()) say("attention   {}\n", behind);
    if (const auto& verdict = champion.verdict; verdict && verdict->valid)
        say("KL          {} on train, {} on valid, inside the model\n", verdict->train.average,
            verdict->valid->average);
    const evolution::Counters& counters = result.state.counters;
    say("made        {} {} measured in {} generations, {} duplicates left out\n", counters.evaluations,
        report::made_text(config.tunes), result.state.generation, counters.duplicates);
    if (counters.refused > 0) say("            {} parameter sets refused by the plugin\n", counters.refused);
    if (counters.semantic_duplicates > 0)
        say("            {} semantic duplicates left out\n", counters.semantic_duplicates);
    if (counters.raced_out > 0) say("            {} candidates left the race early\n", counters.raced_out);
    say("stopped     {}\n", result.state.stop_reason);
    say("next        evictlab report --state {} --output leaderboard.md\n", text::shell_quoted(state_file));
}

} // namespace evictlab::cli
