// evictlab plugins: what is loaded, one in detail, a new one.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/text/quoting.hpp"
#include "base/text/suggestion.hpp"
#include "cli/list_columns.hpp"
#include "cli/output.hpp"
#include "cli/plugin_options.hpp"
#include "cli/shared_options.hpp"
#include "cli/terminal.hpp"
#include "cli/toned.hpp"
#include "framework/plugin/scaffold.hpp"
#include "framework/scorers/scorer.hpp"
#include "framework/scorers/scorer_class.hpp"
#include "report/run_text.hpp"
#include "report/table.hpp"

namespace evictlab::cli {
namespace {

constexpr std::string_view usage = "Usage: evictlab plugins [list] [--plugin-dir DIR]...\n"
                                   "       evictlab plugins describe SCORER [--plugin-dir DIR]...\n"
                                   "       evictlab plugins new NAME [DIR] [--lang cpp|c|rust]\n"
                                   "       evictlab plugins columns [--format text|markdown]\n\n"
                                   "Lists the scorer plugins that are found, describes one, writes a project for a new "
                                   "one into the folder\nDIR (NAME where none is given), or lists the columns that a "
                                   "scorer may ask for.";

constexpr std::string_view examples = "  evictlab plugins\n"
                                      "  evictlab plugins describe h2o\n"
                                      "  evictlab plugins describe 'adakv@kvpress(snapkv@kvpress)'\n"
                                      "  evictlab plugins columns\n"
                                      "  evictlab plugins new my_scorer ~/src/my_scorer\n"
                                      "  evictlab plugins new my_scorer --lang rust\n";

template <class Range, class Text>
std::string joined(const Range& range, Text text) {
    std::string out;
    for (const auto& item : range) out += (out.empty() ? "" : " ") + std::string(text(item));
    return out;
}

/// With a star where it is a published method.
std::string marked_name(const Preset& preset) { return preset.name + (preset.published() ? "*" : ""); }

using Rule = std::shared_ptr<const Plugin>;

ScorerClass class_with(const Rule& rule, std::vector<double> values) {
    return class_of(Scorer::from_plugin(rule->id(), rule, std::move(values)));
}

/// What its presets read, or by its defaults if it has none.
std::string reads_of(const Rule& rule) {
    std::vector<std::string> reads;
    for (const Preset& preset : rule->presets())
        if (const std::string text = class_with(rule, preset.values).reads(); std::ranges::count(reads, text) == 0)
            reads.push_back(text);
    if (reads.empty()) reads.push_back(class_with(rule, rule->default_values()).reads());
    std::string text = rule->wrapper() ? "as its base" : "";
    for (const std::string& each : reads)
        if (!rule->wrapper() || each != ScorerClass{}.reads()) text += (text.empty() ? "" : ", ") + each;
    return text;
}

void list(const PluginHost& host) {
    using report::CellKind, report::spare_at_once;
    report::Table table({{"id", CellKind::code},
                         {"version", CellKind::text, spare_at_once + 1},
                         {"presets"},
                         {"parameters", CellKind::text, spare_at_once},
                         {"reads"},
                         {"columns", CellKind::text, spare_at_once + 2},
                         {"from", CellKind::text, spare_at_once + 3}});
    for (const auto& plugin : host.plugins())
        for (const auto& rule : plugin->rules())
            table.add({rule->id(), rule->version(), joined(rule->presets(), marked_name),
                       joined(rule->parameters(), [](const Parameter& p) { return p.key; }), reads_of(rule),
                       joined(rule->column_patterns(), [](const std::string& name) { return name; }),
                       rule->file().string()});
    const std::size_t width = terminal_width(STDOUT_FILENO).value_or(text::all);
    const report::FittedTable fitted = table.fitted(width, shows_colour(STDOUT_FILENO));
    print_toned(fitted.text);
    if (!fitted.left_out.empty())
        print(wrapped(fmt::format("No room for: {}. `evictlab plugins describe ID` has them all.",
                                  fmt::join(fitted.left_out, ", ")),
                      width));
    say("* a published method, as it was published: what others are compared with\n");
}

std::string range_text(const Parameter& p) {
    if (p.type == EVL_BOOLEAN) return "0 or 1";
    return fmt::format("{} to {}{}{}", p.min, p.max, p.type == EVL_INTEGER ? ", whole" : "",
                       p.log_scale ? ", log scale" : "");
}

std::string flags_of(const Plugin& plugin) {
    std::string flags = plugin.deterministic() ? "deterministic" : "not deterministic";
    flags += plugin.concurrent() ? ", concurrent" : ", one call at a time";
    if (plugin.wrapper()) flags += fmt::format(", a wrapper: {}(SCORER)", plugin.id());
    if (plugin.budgeted()) flags += ", scores for a budget";
    if (plugin.equal_layers()) flags += ", equal budgets for all layers";
    if (plugin.budgets_layers()) flags += ", budgets for layers";
    if (plugin.budgets_heads()) flags += ", budgets for heads";
    if (plugin.scores_model()) flags += ", scores that look at all layers";
    if (plugin.threshold()) flags += ", a threshold in place of a budget";
    if (plugin.wants_tensors()) flags += ", reads queries, keys and values";
    return flags;
}

std::string standing_of(const Preset& preset) {
    std::string standing = preset.published()    ? "published"
                           : preset.simplified() ? "a published method, simplified for synthetic suites"
                                                 : "";
    if (preset.published() && !preset.listed()) standing += ", only by name";
    return standing.empty() ? "" : fmt::format("  ({})", standing);
}

std::string class_text(const Rule& rule, const ScorerClass& scorer_class) {
    if (!rule->wrapper()) return in_words(scorer_class);
    std::string text = "its base's";
    if (scorer_class.budgets() != ScorerClass{}.budgets())
        text += fmt::format(", with {} budgets", scorer_class.budgets());
    if (scorer_class.reads() != ScorerClass{}.reads()) text += fmt::format("; reads {} besides", scorer_class.reads());
    return text;
}

/// `only`: of its presets this one, where one is named.
void describe(const Rule& rule, const std::optional<std::string>& only) {
    const Plugin& plugin = *rule;
    const auto width = terminal_width(STDOUT_FILENO);
    report::LabelledLines lines(width);
    say("{} ({}) {}\n", plugin.id(), plugin.name(), plugin.version());
    print(wrapped(text::line(plugin.description()), width.value_or(text::all)));
    if (!plugin.reference().empty()) lines.say("reference", plugin.reference());
    lines.say("flags", flags_of(plugin));
    const ScorerClass usual = class_with(rule, plugin.default_values());
    lines.say("class", class_text(rule, usual));
    if (!plugin.formula().empty()) lines.say("formula", plugin.formula());
    lines.say("columns", joined(plugin.column_patterns(), [](const std::string& name) { return name; }));
    for (const Parameter& p : plugin.parameters())
        lines.say("parameter", fmt::format("{} = {}  ({}{})  {}", p.key, p.default_value, range_text(p),
                                           p.evolvable ? ", evolvable" : "", p.help));
    for (const Preset& preset : plugin.presets()) {
        if (only && preset.name != *only) continue;
        std::string values;
        for (std::size_t i = 0; i < preset.values.size(); ++i)
            values += fmt::format(" {}={}", plugin.parameters()[i].key, preset.values[i]);
        lines.say("preset", fmt::format("{}: {} {}{}", preset.name, preset.help, values, standing_of(preset)));
        if (const ScorerClass of_preset = class_with(rule, preset.values); of_preset != usual)
            lines.say("  class", class_text(rule, of_preset));
        if (!preset.bases.empty()) lines.say("  over", preset.bases);
        if (!preset.formula.empty()) lines.say("  formula", preset.formula);
    }
    print(lines.take());
}

/// As `bench` takes it: a formula in words; of a preset its own rule; of a wrapper its base too.
int describe_scorer(const std::string& what, PluginHost& host) {
    const ScorerName name = parse_scorer_name(what);
    if (name.is_formula()) {
        const Scorer scorer = make_scorer(what, host);
        say("formula     {}\nclass       {}\n\n", formula::print(scorer.formula()), in_words(class_of(scorer)));
        print(formula::explain(scorer.formula()));
        return exit_ok;
    }
    const auto plugin = name.is_library() ? host.load(name.id) : host.find(name.id);
    std::vector<std::string> known;
    for (const auto& each : host.plugins()) known.push_back(each->id());
    if (!plugin)
        throw UsageError(fmt::format("no plugin '{}'{}", name.id, text::what_there_is(name.id, known, "plugin")));
    if (name.preset || name.base || !name.assignments.empty()) (void)make_scorer(what, host); // tells what is wrong
    say("file        {}\nsha256      {}\nruns        {}\n", plugin->file().string(), plugin->file_sha256(),
        plugin->place());
    for (const auto& rule : plugin->rules()) {
        if (name.preset && !rule->preset(*name.preset)) continue;
        say("\n");
        describe(rule, name.preset);
    }
    if (!name.base) return exit_ok;
    say("\nover {}:\n\n", name.base->text());
    return describe_scorer(name.base->text(), host);
}

int write_project(const std::vector<std::string>& words, std::string_view lang) {
    if (words.size() < 2 || words.size() > 3) throw UsageError("expected: evictlab plugins new NAME [DIR]");
    const std::filesystem::path project = words.size() == 3 ? words[2] : words[1];
    const Language language = language_named(lang);
    for (const auto& file : write_plugin_project(words[1], project, language)) say("{}\n", file.string());
    const std::string folder = text::shell_quoted(project.string());
    if (language == Language::rust) {
        say("\nBuild and run it:\n  cargo build --release --manifest-path {0}/Cargo.toml\n"
            "  evictlab bench --suite micro --scorers {1} --plugin-dir {0}/target/release\n",
            folder, words[1]);
        return exit_ok;
    }
    say("\nBuild and run it:\n  cmake -S {0} -B {0}/build && cmake --build {0}/build\n"
        "  evictlab bench --suite micro --scorers {1} --plugin-dir {0}/build\n",
        folder, words[1]);
    return exit_ok;
}

po::options_description plugins_options() {
    po::options_description options("Options");
    options.add_options()("format", po::value<std::string>()->default_value("text")->value_name("FORMAT"),
                          "of columns: text or markdown");
    options.add_options()("lang", po::value<std::string>()->default_value("cpp")->value_name("LANGUAGE"),
                          "of a new project: cpp, c or rust");
    add_plugin_options(options, IsolatedByDefault::not_built_in);
    return options;
}

int run(const std::vector<std::string>& arguments) {
    const auto values = parse_options(arguments, plugins_options(), "words", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["words"].as<std::vector<std::string>>();
    const std::string action = words.empty() ? "list" : words[0];
    if (action == "new") return write_project(words, (*values)["lang"].as<std::string>());
    if (!(*values)["lang"].defaulted()) throw UsageError("--lang is for evictlab plugins new");
    if (action == "columns" && words.size() == 1) return list_columns((*values)["format"].as<std::string>());
    if (!(*values)["format"].defaulted()) throw UsageError("--format is for evictlab plugins columns");
    const bool lists = action == "list" && words.size() <= 1;
    if (!lists && !(action == "describe" && words.size() == 2))
        throw UsageError("expected list, describe SCORER, columns, or new NAME [DIR]; see --help");
    PluginHost host = host_from(*values, IsolatedByDefault::not_built_in);
    if (lists) {
        list(host);
        return host.problems().empty() ? exit_ok : exit_failure;
    }
    return describe_scorer(words[1], host);
}

} // namespace

const Command plugins_command{"plugins", "list, describe and start scorer plugins", run, plugins_options, "words"};

} // namespace evictlab::cli
