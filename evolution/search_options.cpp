// SPDX-License-Identifier: MIT
#include "evolution/search_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/option_error.hpp"
#include "base/text/number.hpp"
#include "framework/formula/formula.hpp"

namespace evictlab::evolution {
namespace {

constexpr OptionRange counted{0, most_population}, at_least_one{1, most_population};
constexpr OptionRange evaluations{0, most_evaluations};
constexpr auto most_generations = static_cast<double>(std::numeric_limits<std::uint32_t>::max());
constexpr auto formulas = OptionOf::formulas;
constexpr auto always = OptionSaved::always, since_islands = OptionSaved::since_islands;

constexpr std::array table{
    SearchOption{.key = "seed",
                 .member = &RunConfig::seed,
                 .value = "N",
                 .help = "of the run's random numbers",
                 .saved = always},
    SearchOption{.key = "population",
                 .member = &RunConfig::population,
                 .value = "N",
                 .help = "formulas kept, and made a generation",
                 .range = OptionRange{2, most_population},
                 .saved = always,
                 .captured = 100,
                 .parameters = 24},
    SearchOption{.key = "parents",
                 .member = &RunConfig::parents,
                 .value = "HOW",
                 .help = "drawn by: tournament, or lexicase over documents",
                 .saved = since_islands,
                 .words = {"tournament", "lexicase"}},
    SearchOption{.key = "islands",
                 .member = &RunConfig::islands,
                 .value = "N",
                 .help = "parts of the population that breed apart",
                 .range = at_least_one,
                 .saved = since_islands},
    SearchOption{.key = "migration",
                 .member = &RunConfig::migration,
                 .value = "N",
                 .help = "generations after which each island's best moves on",
                 .range = OptionRange{1, most_generations},
                 .saved = since_islands},
    SearchOption{.key = "archive",
                 .member = &RunConfig::archive,
                 .value = "SHARE",
                 .help = "of the parents come out of an archive of the best of each kind, from 0, where none is kept, "
                         "to below 1",
                 .range = OptionRange{0, 1, true},
                 .of = formulas,
                 .saved = since_islands},
    SearchOption{.key = "semantic_duplicates",
                 .member = &RunConfig::semantic_duplicates,
                 .value = "HOW",
                 .help = "formulas that keep what one no larger keeps: measure or skip",
                 .of = formulas,
                 .saved = since_islands,
                 .words = {"measure", "skip"}},
    SearchOption{.key = "race",
                 .member = &RunConfig::race,
                 .value = "HOW",
                 .help = "on captured suites, candidates that fall behind are measured in part: on or off",
                 .of = formulas,
                 .saved = since_islands,
                 .words = {"off", "on"}},
    SearchOption{.key = "max_nodes",
                 .member = &RunConfig::max_nodes,
                 .value = "N",
                 .help = "operators and operands of a formula, at most",
                 .range = OptionRange{1, formula::Limits{}.nodes},
                 .of = OptionOf::formulas_unread,
                 .saved = always,
                 .captured = 200}, // what it starts from has some 150
    SearchOption{.key = "node_price",
                 .member = &RunConfig::node_price,
                 .value = "",
                 .help = "",
                 .range = OptionRange{0, 1},
                 .saved = always},
    SearchOption{.key = "tuned",
                 .member = &RunConfig::tuned,
                 .value = "N",
                 .help = "structures a generation whose constants CMA-ES tunes",
                 .range = counted,
                 .saved = always,
                 .captured = 2,
                 .parameters = 1},
    SearchOption{.key = "tuning_evaluations",
                 .member = &RunConfig::tuning_evaluations,
                 .value = "N",
                 .help = "of a structure's first tuning",
                 .range = evaluations,
                 .saved = always,
                 .captured = 80,
                 .parameters = 24},
    SearchOption{.key = "query_stride",
                 .member = &RunConfig::query_stride,
                 .value = "N",
                 .help = "on captured suites, measure by every N-th query of a continuation",
                 .range = at_least_one,
                 .of = formulas,
                 .saved = always},
    SearchOption{.key = "judged",
                 .member = &RunConfig::asked_of_model,
                 .value = "N",
                 .help = "candidates a generation that the judge is asked about",
                 .range = counted,
                 .needs = OptionNeeds::judge,
                 .saved = always,
                 .asked = 16},
    SearchOption{.key = "verdict_tuning",
                 .member = &RunConfig::verdict_tuning,
                 .value = "N",
                 .help = "evaluations a generation by which CMA-ES tunes the champion's constants inside the model",
                 .range = evaluations,
                 .needs = OptionNeeds::judge},
    SearchOption{.key = "proposals",
                 .member = &RunConfig::proposals,
                 .value = "N",
                 .help = "candidates asked of the proposer a generation",
                 .range = counted,
                 .of = formulas,
                 .needs = OptionNeeds::proposer,
                 .saved = always,
                 .asked = 4},
};

constexpr std::string_view whole = "a whole number";
constexpr std::array limits_table{
    LimitOption{"generations", "generations", &RunLimits::generations, "N", "stop after so many, in all", whole},
    LimitOption{"evaluations", "evaluations", &RunLimits::evaluations, "N",
                "stop once so many formulas were measured, in all", whole},
    LimitOption{"seconds", "max_seconds", &RunLimits::seconds, "S", "stop after so long, this time",
                "a number of seconds"},
    LimitOption{"target", "target", &RunLimits::target, "ERR", "stop once the champion's valid error is at most this",
                "an error such as 0.368"},
    LimitOption{"patience", "patience", &RunLimits::patience, "N",
                "stop after so many generations without a new champion", whole},
};

/// Calls with the member's reference, which has the option's type.
template <class Config, class Option, class Take>
auto visit(Config& config, const Option& option, Take take) {
    return std::visit([&](auto member) { return take(config.*member); }, option.member);
}

bool has_words(const SearchOption& option) { return !option.words[0].empty(); }

std::string shown(const SearchOption& option, double value) {
    return has_words(option) ? std::string(option.words[value != 0 ? 1 : 0]) : fmt::format("{}", value);
}

void set_number(RunConfig& config, const SearchOption& option, double value) {
    visit(config, option, [&](auto& to) { to = static_cast<std::remove_reference_t<decltype(to)>>(value); });
}

template <class Number>
std::string_view expected_of() {
    return std::is_floating_point_v<Number> ? "a number such as 0.2" : whole;
}

ParentSelection parents_from_json(const JsonField& field) {
    for (const ParentSelection selection : {ParentSelection::tournament, ParentSelection::lexicase})
        if (field.text() == to_string(selection)) return selection;
    field.fail(fmt::format("expected tournament or lexicase, found {}", field.shown()));
}

void read(const JsonField& field, bool& to) { to = field.truth(); }
void read(const JsonField& field, double& to) { to = field.number(); }
void read(const JsonField& field, ParentSelection& to) { to = parents_from_json(field); }
template <class Whole>
void read(const JsonField& field, Whole& to) {
    to = field.whole<Whole>();
}

void write(nlohmann::ordered_json& json, ParentSelection value) { json = to_string(value); }
template <class Value>
void write(nlohmann::ordered_json& json, Value value) {
    json = value;
}

} // namespace

std::span<const SearchOption> search_options() { return table; }

RunConfig usual_config(bool captured, bool tunes) {
    RunConfig config;
    for (const SearchOption& option : table) {
        if (captured && option.captured) set_number(config, option, *option.captured);
        if (tunes && option.parameters) set_number(config, option, *option.parameters);
    }
    return config;
}

std::string usual_text(const SearchOption& option) {
    std::string text = shown(option, option.asked.value_or(number_of(RunConfig{}, option)));
    if (option.captured) text += "; captured suites: " + shown(option, *option.captured);
    if (option.parameters) text += "; a plugin's parameters: " + shown(option, *option.parameters);
    return text;
}

void ask_usually(RunConfig& config, const SearchOption& option) {
    if (option.asked) set_number(config, option, *option.asked);
}

void set_option(RunConfig& config, const SearchOption& option, std::string_view text) {
    const std::string key(option.key);
    if (has_words(option)) {
        const auto word = std::ranges::find(option.words, text);
        if (word == std::end(option.words))
            throw OptionError(key,
                              fmt::format("is '{}', but must be {} or {}", text, option.words[0], option.words[1]));
        return set_number(config, option, word == option.words ? 0 : 1);
    }
    visit(config, option, [&]<class To>(To& to) {
        if constexpr (!std::is_same_v<To, bool> && !std::is_enum_v<To>)
            to = text::number<To>(key, text, expected_of<To>());
    });
}

double number_of(const RunConfig& config, const SearchOption& option) {
    return visit(config, option, [](auto value) { return static_cast<double>(value); });
}

bool is_usual(const RunConfig& config, const SearchOption& option) {
    return number_of(config, option) == number_of(RunConfig{}, option);
}

std::string out_of_range(const RunConfig& config, const SearchOption& option) {
    if (!option.range) return "";
    const auto [low, high, below] = *option.range;
    const double value = number_of(config, option);
    if (value >= low && (below ? value < high : value <= high)) return "";
    return fmt::format("is {}, but must be from {} to {}{}", value, low, below ? "below " : "", high);
}

std::span<const LimitOption> limit_options() { return limits_table; }

void set_limit(RunLimits& limits, const LimitOption& limit, std::string_view text) {
    visit(limits, limit, [&]<class Number>(std::optional<Number>& to) {
        to = text::number<Number>(limit.name, text, limit.expected);
    });
}

nlohmann::ordered_json limits_json(const RunLimits& limits) {
    nlohmann::ordered_json json;
    for (const LimitOption& limit : limits_table)
        visit(limits, limit, [&](const auto& value) {
            json[std::string(limit.key)] = value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
        });
    return json;
}

RunLimits limits_from_json(const JsonField& field) {
    RunLimits limits;
    for (const LimitOption& limit : limits_table)
        if (const auto given = field.member_unless_null(limit.key))
            visit(limits, limit, [&]<class Number>(std::optional<Number>& to) { read(*given, to.emplace()); });
    return limits;
}

void write_options(const RunConfig& config, nlohmann::ordered_json& json) {
    for (const bool later : {false, true}) // the order that states have
        for (const SearchOption& option : table)
            if ((option.saved == since_islands) == later)
                visit(config, option, [&](auto value) { write(json[std::string(option.key)], value); });
}

void read_options(const JsonField& field, RunConfig& config) {
    const bool knows_islands = field.optional_member("parents").has_value();
    for (const SearchOption& option : table) {
        const std::string key(option.key);
        if (option.saved == since_islands && !knows_islands) continue;
        if (option.saved == OptionSaved::sometimes && !field.optional_member(key)) continue;
        visit(config, option, [&](auto& to) { read(field.member(key), to); });
    }
}

} // namespace evictlab::evolution
