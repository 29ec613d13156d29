// What can be told of a saved run without its suite, field by field.
// SPDX-License-Identifier: MIT
#include "evolution/saved_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "evolution/archive.hpp"
#include "evolution/column_choice.hpp"
#include "evolution/search_options.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::uint64_t most_counted = std::uint64_t{1} << 53;

void require(bool right, const JsonField& field, const std::string& what) {
    if (!right) field.fail(what);
}

void at_most(const JsonField& parent, const char* key, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    require(value >= low && value <= high, parent.member(key),
            fmt::format("{} is out of range: it is from {} to {}", value, low, high));
}

void check_config(const JsonField& field, const RunConfig& config) {
    for (const SearchOption& option : search_options())
        if (const auto own = field.optional_member(option.key)) {
            const std::string why = out_of_range(config, option);
            require(why.empty(), *own, why);
            require(!config.tunes || option.of != OptionOf::formulas || is_usual(config, option), *own,
                    "is of formulas, but this run tunes a plugin");
        }
    if (field.optional_member("islands")) at_most(field, "islands", config.islands, 1, config.population / 2);
    const JsonField columns = field.member("columns");
    require(!config.columns.empty() || config.tunes, columns, "a run reads at least one column");
    for (const JsonField& name : columns.elements()) try {
            columns::intern(name.text());
        } catch (const UsageError& wrong) {
            name.fail(wrong.what());
        }
    require(!config.columns_only || !config.tunes, columns, "are chosen for formulas, but this run tunes a plugin");
    if (const std::string name = not_readable(config.start_formula, config); !name.empty())
        field.member("start_formula").fail(fmt::format("reads the column {}, which the run may not read", name));
    if (!config.tunes)
        require(config.start_formula.size() <= config.max_nodes, field.member("start_formula"),
                fmt::format("has {} nodes, more than max_nodes", config.start_formula.size()));
    else
        check_scorer_text(field.member("start"), config.start);
}

void check_references(const JsonField& content, const RunIdentity& identity, std::span<const double> retentions) {
    std::size_t covered = 0;
    const auto check = [&](const JsonField& suite, const ReferenceErrors& reference) {
        if (reference[0].empty() && reference[1].empty()) return false;
        const JsonField field = suite.member("reference");
        require(!reference[0].empty() && reference[0].size() == reference[1].size(), field,
                "has other numbers of errors for train and valid");
        for (const auto& errors : reference)
            for (const double error : errors) require(error > 0, field, "holds an error that is not above 0");
        covered += reference[0].size();
        return true;
    };
    const bool relative = check(content.member("suite"), identity.reference);
    const auto more = content.member("more_suites").elements();
    for (std::size_t i = 0; i < more.size(); ++i)
        require(check(more[i], identity.more_suites[i].reference), more[i], "lacks the reference errors of its suite");
    require(more.empty() || relative, content.member("suite"), "lacks the reference errors of its suite");
    require(!relative || covered == retentions.size(), content.member("retentions"),
            fmt::format("there are {}, but the suites' reference errors are of {}", retentions.size(), covered));
}

void check_external(const JsonField& content, const RunSetup& setup) {
    const JsonField external = content.member("outside");
    const RunIdentity& identity = setup.identity;
    require((setup.config.asked_of_model > 0) == !identity.judge_command.empty(), external.member("judge"),
            "does not fit config.judged: a run asks a judge, or has none");
    require((setup.config.proposals > 0) == !identity.proposer_command.empty(), external.member("proposer"),
            "does not fit config.proposals: a run asks a proposer, or has none");
    for (const auto& [key, seconds] :
         {std::pair("judge_timeout", identity.judge_timeout), std::pair("proposer_timeout", identity.proposer_timeout)})
        require(seconds > 0 && seconds <= 86400, external.optional_member(key).value_or(external),
                "is no time from above 0 to 86400 seconds");
}

/// "g12-s34".
bool is_id(const std::string& id, std::uint32_t generation, std::uint32_t slot) {
    return id == fmt::format("g{}-s{}", generation, slot);
}

} // namespace

void check_scorer_text(const JsonField& field, const std::string& scorer) {
    require(!scorer.empty() && !scorer.starts_with('=') && scorer.find(".so") == scorer.npos &&
                scorer.find(".formula") == scorer.npos,
            field, fmt::format("'{}' is no scorer by its name, as in snapkv@kvpress:window=48", field.shown()));
}

void check_saved_setup(const JsonField& content, const RunSetup& setup, std::span<const double> retentions) {
    const JsonField field = content.member("retentions");
    const auto elements = field.elements();
    require(!elements.empty() && elements.size() <= most_retentions, field,
            fmt::format("{} are listed, but there are from 1 to {}", elements.size(), most_retentions));
    for (std::size_t i = 0; i < elements.size(); ++i)
        require(retentions[i] > 0 && retentions[i] <= 1, elements[i], "is no fraction above 0 and at most 1");
    const std::vector<std::size_t>& keep = setup.identity.keep;
    if (const auto numbers = content.optional_member("keep")) {
        require(keep.size() * (1 + setup.identity.more_suites.size()) == elements.size(), *numbers,
                fmt::format("has {} numbers, but there are {} retentions of {} suites", keep.size(), elements.size(),
                            1 + setup.identity.more_suites.size()));
        require(std::ranges::find(keep, std::size_t{0}) == keep.end(), *numbers, "has 0 tokens");
    }
    check_config(content.member("config"), setup.config);
    check_references(content, setup.identity, retentions);
    check_external(content, setup);
    const JsonField limits = content.member("limits");
    require(!setup.limits.seconds || *setup.limits.seconds > 0, limits, "seconds are not above 0");
}

namespace {

class StateChecks {
public:
    StateChecks(const JsonField& content, const RunConfig& config, const RunState& state, std::size_t retentions)
        : content_(content), config_(config), state_(state), retentions_(retentions) {}

    void check() const {
        at_most(content_, "generation", state_.generation, 0, most_generations);
        at_most(content_, "last_champion_generation", state_.last_champion_generation, 0, state_.generation);
        check_counters();
        check_champions();
        check_population();
        check_archive();
        check_history();
        const JsonField outcomes = content_.member("proposal_outcomes");
        require(config_.proposals > 0 || state_.proposal_outcomes.empty(), outcomes, "but the run has no proposer");
        require(state_.seconds >= 0 && state_.seconds < 1e12, content_.member("times").member("seconds"),
                "is no time that a run can take");
    }

private:
    void check_counters() const {
        const JsonField field = content_.member("counters");
        const Counters& counters = state_.counters;
        at_most(field, "candidates", counters.candidates, 1, most_counted);
        at_most(field, "accepted", counters.accepted, 1, counters.candidates);
        at_most(field, "duplicates", counters.duplicates, 0, most_counted);
        at_most(field, "evaluations", counters.evaluations, 1, most_counted);
        if (field.optional_member("semantic_duplicates"))
            at_most(field, "semantic_duplicates", counters.semantic_duplicates, 0, most_counted);
        if (field.optional_member("raced_out"))
            at_most(field, "raced_out", counters.raced_out, 0, counters.candidates - 1);
        if (field.optional_member("refused")) at_most(field, "refused", counters.refused, 0, counters.candidates - 1);
        require(counters.evaluations + counters.refused >= counters.candidates, field.member("evaluations"),
                "are fewer than the candidates that were measured");
    }

    void check_errors(const JsonField& field, const FormulaErrors& errors, std::size_t retentions) const {
        const auto& own = errors.by_retention;
        require(own.size() == retentions, field.member("by_retention"),
                fmt::format("{} errors, but the run has {} retentions", own.size(), retentions));
        for (const double error : own) require(error >= 0, field.member("by_retention"), "holds a negative error");
        const auto [low, high] = std::ranges::minmax(own);
        const double slack = 1e-6 * high;
        require(errors.average >= low - slack && errors.average <= high + slack, field.member("average"),
                fmt::format("{} is no average of the errors by retention", errors.average));
        if (!errors.by_document.empty()) check_documents(field.member("by_document"), errors, retentions);
    }

    static void check_documents(const JsonField& field, const FormulaErrors& errors, std::size_t retentions) {
        for (const auto& document : errors.by_document) { // of one of several suites, each with its own retentions
            require(!document.empty() && document.size() <= retentions, field,
                    "has a document with other retentions than the run");
            for (const double error : document) require(error >= 0, field, "holds a negative error");
        }
    }

    void check_genome(const JsonField& field, const Genome& genome) const {
        const ParameterSet* const own = genome.parameters();
        require((own != nullptr) == config_.tunes, field,
                config_.tunes ? "holds a formula, but this run tunes a plugin" : "holds no formula");
        if (own == nullptr) return;
        check_scorer_text(field.member("scorer"), own->scorer);
        const ParameterSet* const first = state_.champions.front().genome.parameters();
        require(first && own->values.size() == first->values.size(), field.member("values"),
                "has another number of values than the first champion");
        require(own->changed <= own->values.size(), field, "has more changed parameters than values");
    }

    void check_verdict(const JsonField& field, const Candidate& champion) const {
        require(champion.verdict.has_value() || config_.asked_of_model == 0, field, "lacks the judge's verdict");
        if (!champion.verdict) return;
        const JsonField verdict = field.member("verdict");
        const auto check = [&](const JsonField& split, const FormulaErrors& errors, const FormulaErrors& first) {
            check_errors(split, errors, first.by_retention.size());
            const auto asked = [&](const auto& document) { return document.size() == first.by_retention.size(); };
            require(!errors.by_document.empty() && errors.by_document.size() == first.by_document.size() &&
                        std::ranges::all_of(errors.by_document, asked),
                    split, "is of other documents than the first champion's");
        };
        const auto& first = state_.champions.front().verdict;
        require(first && first->valid && champion.verdict->valid && !first->train.by_retention.empty(), verdict,
                "lacks what the judge said on valid");
        check(verdict.member("train"), champion.verdict->train, first->train);
        check(verdict.member("valid"), *champion.verdict->valid, *first->valid);
        require(first->valid->by_retention.size() == first->train.by_retention.size(), verdict,
                "has other retentions on valid than on train");
    }

    void check_champions() const {
        const JsonField list = content_.member("champions");
        const auto fields = list.elements();
        const auto& champions = state_.champions;
        require(!champions.empty(), list, "a saved run has a champion");
        for (std::size_t i = 0; i < champions.size(); ++i) {
            const Candidate& champion = champions[i];
            const JsonField& field = fields[i];
            require(champion.valid.has_value(), field, "a champion has errors on valid");
            require(champion.status == Status::champion, field.member("status"), "is not that of a champion");
            require(is_id(champion.id, champion.generation, champion.slot), field.member("id"),
                    "is not made of its generation and slot");
            require(champion.generation <= state_.generation, field.member("generation"), "is after the run's");
            check_genome(field, champion.genome);
            check_errors(field.member("train"), champion.train, retentions_);
            check_errors(field.member("valid"), *champion.valid, retentions_);
            check_verdict(field, champion);
            if (i == 0) {
                require(champion.generation == 0 && champion.parents.empty(), field,
                        "is the first champion, and so the start of the run: of generation 0, without parents");
            } else {
                require(champions[i - 1].generation <= champion.generation, field.member("generation"),
                        "is before that of the champion in front of it");
                require(!champion.parents.empty(), field.member("parents"), "a later champion has parents");
            }
        }
        require(champions.back().generation == state_.last_champion_generation,
                content_.member("last_champion_generation"),
                fmt::format("is not that of the last champion, {}", champions.back().id));
        require(champions.size() <= state_.counters.accepted, list, "are more than were accepted");
        check_unique(list, champions, [](const Candidate& one) { return one.id; });
    }

    template <class All, class Key>
    static void check_unique(const JsonField& list, const All& all, Key key) {
        std::set<decltype(key(all.front()))> keys;
        const auto fields = list.elements();
        for (std::size_t i = 0; i < all.size(); ++i)
            require(keys.insert(key(all[i])).second, fields[i], "is listed twice");
    }

    void check_member(const JsonField& field, const Member& member) const {
        check_genome(field, member.genome);
        check_errors(field.member("train"), member.train, retentions_);
        require(member.island < config_.islands, field.optional_member("island").value_or(field),
                fmt::format("{} is no island of {}", member.island, config_.islands));
        require(member.tunings <= state_.generation, field.member("tunings"), "are more than one a generation");
        const auto &own = member.train.by_document, &first = state_.population.front().train.by_document;
        const auto same_size = [](const auto& a, const auto& b) { return a.size() == b.size(); };
        require(std::ranges::equal(own, first, same_size), field.member("train"),
                "is of other documents than the first member's");
    }

    void check_population() const {
        const JsonField list = content_.member("population");
        const auto fields = list.elements();
        std::vector<std::size_t> on_island(config_.islands);
        require(!fields.empty(), list, "a saved run has a population");
        for (std::size_t i = 0; i < fields.size(); ++i) {
            check_member(fields[i], state_.population[i]);
            ++on_island[state_.population[i].island];
        }
        const auto empty = std::ranges::find(on_island, std::size_t{0});
        require(empty == on_island.end(), list, fmt::format("nobody is on island {}", empty - on_island.begin()));
        check_unique(list, state_.population, [](const Member& one) { return std::tuple(one.id, one.island); });
    }

    void check_archive() const {
        const auto list = content_.optional_member("archive");
        if (!list) return;
        require(config_.archive > 0 || state_.archive.empty(), *list, "but the run keeps none");
        const auto fields = list->elements();
        for (std::size_t i = 0; i < fields.size(); ++i) {
            check_member(fields[i], state_.archive[i]);
            require(i == 0 || archive_cell(state_.archive[i - 1].genome.formula()) <
                                  archive_cell(state_.archive[i].genome.formula()),
                    fields[i], "is not behind the one before it in the order of cells");
        }
    }

    void check_history() const {
        const JsonField list = content_.member("history");
        const auto fields = list.elements();
        const auto& history = state_.history;
        const std::size_t wanted = std::min<std::size_t>(history_limit, std::size_t{state_.generation} + 1);
        require(history.size() == wanted, list,
                fmt::format("has {} lines, but {} for generation {}", history.size(), wanted, state_.generation));
        for (std::size_t i = 0; i < history.size(); ++i) {
            const HistoryLine& line = history[i];
            require(line.generation == state_.generation - (history.size() - 1 - i), fields[i],
                    fmt::format("is of generation {}, and not in its place", line.generation));
            require(i == 0 || history[i - 1].evaluations <= line.evaluations, fields[i],
                    "has fewer evaluations than before");
            for (const double error : {line.best_train, line.champion_train, line.champion_valid})
                require(error >= 0, fields[i], "holds a negative error");
        }
        require(history.back().evaluations <= state_.counters.evaluations, fields.back(),
                "has more evaluations than the run");
    }

    const JsonField& content_;
    const RunConfig& config_;
    const RunState& state_;
    std::size_t retentions_;
};

} // namespace

void check_saved_state(const JsonField& content, const RunSetup& setup, const RunState& state, std::size_t retentions) {
    StateChecks(content, setup.config, state, retentions).check();
}

} // namespace evictlab::evolution
