// SPDX-License-Identifier: MIT
#include "export/champion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/text/quoting.hpp"
#include "evolution/candidate.hpp"
#include "framework/formula/simplified.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::exporting {
namespace {

namespace fs = std::filesystem;

std::string usual_name(std::string_view prefix, const formula::Formula& formula) {
    return fmt::format("{}_{}", prefix, formula::canonical_hash(formula).substr(0, 8));
}

/// What is exported has the same scores to the bit, and says what it was.
void shorten(Champion& champion) {
    formula::Formula shorter = formula::simplified(champion.formula);
    if (shorter.size() == champion.formula.size()) return;
    champion.provenance.push_back(fmt::format("{:<11} {}", "simplified", "from " + print(champion.formula)));
    champion.formula = std::move(shorter);
}

std::string errors_text(const evolution::RunSummary& run, const FormulaErrors& errors) {
    std::string text = fmt::format("{:.6f}", errors.average);
    for (std::size_t i = 0; i < errors.by_retention.size() && i < run.retentions.size(); ++i)
        text += fmt::format("{}{}: {:.6f}", i == 0 ? " (retention " : ", ", run.retentions[i], errors.by_retention[i]);
    return text + (errors.by_retention.empty() ? "" : ")");
}

Champion of_run(const evolution::RunSummary& run, const evolution::Candidate& candidate) {
    if (candidate.genome.parameters())
        throw UsageError(
            fmt::format("the run tuned a plugin, so its champion is no formula that can be exported; every "
                        "command takes it by its name: --scorers {}",
                        text::shell_quoted(candidate.genome.text())));
    Champion champion{"", candidate.genome.formula(), {}};
    const auto say = [&](std::string_view what, const std::string& text) {
        champion.provenance.push_back(fmt::format("{:<11} {}", what, text));
    };
    say("suite", fmt::format("{} {}", run.suite, run.suite_hash));
    say("run", fmt::format("seed {}, generation {} of {}, from {}", run.seed, candidate.generation, run.generation,
                           run.start));
    say("candidate", fmt::format("{}, made by {}{}{}", candidate.id, candidate.op,
                                 candidate.parents.empty() ? "" : " from ", fmt::join(candidate.parents, ", ")));
    say("hypothesis", candidate.hypothesis);
    say("train error", errors_text(run, candidate.train));
    if (candidate.valid) say("valid error", errors_text(run, *candidate.valid));
    if (candidate.verdict) say("train KL", errors_text(run, candidate.verdict->train));
    if (candidate.verdict && candidate.verdict->valid) say("valid KL", errors_text(run, *candidate.verdict->valid));
    say("found by", fmt::format("{} --generations {} --state repeated.json", run.command, run.generation));
    shorten(champion);
    champion.name = usual_name("champion", champion.formula);
    say("hash", formula::canonical_hash(champion.formula));
    return champion;
}

Champion from_run(const std::string& file, const std::string& id) {
    const evolution::RunSummary run = evolution::read_run(file);
    if (id.empty()) return of_run(run, run.champion);
    const auto found = std::ranges::find(run.champions, id, &evolution::Candidate::id);
    if (found != run.champions.end()) return of_run(run, *found);
    std::string ids;
    for (const evolution::Candidate& each : run.champions) ids += (ids.empty() ? "" : ", ") + each.id;
    throw UsageError(fmt::format("{}: no champion has the id '{}'; there are: {}", file, id, ids));
}

Champion from_formula_file(const std::string& file) {
    const std::string text = formula::read_formula_file(file);
    Champion champion{"", formula::parse(text), {}};
    shorten(champion);
    const std::string stem = fs::path(file).stem().string();
    champion.name = is_identifier(stem) ? stem : usual_name("formula", champion.formula);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto begin = line.find_first_not_of("# \t\r", line.find('#'));
        if (begin >= line.size()) continue;
        constexpr std::string_view licence = "SPDX-License-Identifier:";
        const std::string comment = line.substr(begin);
        const auto expression = comment.find_first_not_of(" \t", licence.size());
        if (!comment.starts_with(licence))
            champion.provenance.push_back(comment);
        else if (expression < comment.size())
            champion.licence = comment.substr(expression, comment.find_last_not_of(" \t\r") + 1 - expression);
    }
    return champion;
}

bool is_file(const std::string& name) {
    std::error_code error;
    return fs::is_regular_file(name, error);
}

} // namespace

Champion find_champion(const std::string& what, const PluginHost& host) {
    if (what.starts_with('=')) {
        Champion champion{"", formula::parse(std::string_view(what).substr(1)), {}};
        shorten(champion);
        champion.name = usual_name("formula", champion.formula);
        return champion;
    }
    if (what.ends_with(".formula")) return from_formula_file(what);
    if (const auto twin = formula_twin(what, host)) {
        std::string name = what + "_twin"; // the scorer has the name itself
        std::ranges::replace(name, '@', '_');
        return {name, formula::parse(*twin), {fmt::format("the formula twin of the scorer {}", what)}};
    }
    const auto colon = what.rfind(':');
    if (!is_file(what) && colon != std::string::npos && is_file(what.substr(0, colon)))
        return from_run(what.substr(0, colon), what.substr(colon + 1));
    if (is_file(what)) return from_run(what, "");
    if (const auto plugin = host.find(parse_scorer_name(what).id)) {
        std::string with; // of the same plugin
        for (const std::string& twin : scorers_with_twins(host))
            if (parse_scorer_name(twin).id == plugin->id()) with += (with.empty() ? "; " : ", ") + twin;
        throw UsageError(fmt::format("{} is a plugin's own code, for which it gives no formula, so it cannot be "
                                     "exported{}{}; programs call it by libevictlab (docs/library.md)",
                                     what, with, with.empty() ? "" : " can"));
    }
    try { // a formula without its sign
        return find_champion("=" + what, host);
    } catch (const UsageError&) {
        // which the message below is of more use than
    }
    throw UsageError(
        fmt::format("'{}' is nothing that can be exported: give a run's state file (evolution.json, or "
                    "evolution.json:ID for one of "
                    "its champions), a .formula file, a formula '=...', or a scorer with a formula twin ({})",
                    what, fmt::join(scorers_with_twins(host), ", ")));
}

} // namespace evictlab::exporting
