// Fuzz target: what `evictlab report` reads (bench results, verdicts, tasks and runs inside an engine), driven to
// everything that it writes. Whatever the texts in a file are, none leaves its quotes: not in a terminal, Markdown,
// CSV, JSON or gnuplot's script. SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <vector>

#include "base/error.hpp"
#include "base/text/shown.hpp"
#include "report/bench_json.hpp"
#include "report/bench_notes.hpp"
#include "report/bench_table.hpp"
#include "report/leaderboard_text.hpp"
#include "report/plot.hpp"
#include "report/tasks.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/leaderboards.hpp"
#include "tests/support/made_benches.hpp"

using namespace evictlab;
using namespace evictlab::report;

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1);
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return lines;
}

bool begins_with_one_of(std::string_view text, std::initializer_list<std::string_view> beginnings) {
    return std::ranges::any_of(beginnings, [text](std::string_view beginning) { return text.starts_with(beginning); });
}

/// A line of Markdown: tags but our own stand in code spans or behind a backslash. Gives the bars that part cells.
std::size_t check_markdown_line(std::string_view line) {
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\') {
            ++i;
        } else if (line[i] == '`') {
            std::size_t ticks = 0;
            while (i + ticks < line.size() && line[i + ticks] == '`') ++ticks;
            std::size_t end = i + ticks, run = 0;
            for (; end < line.size() && run != ticks; ++end) {
                run = 0;
                while (end + run < line.size() && line[end + run] == '`') ++run;
                if (run > 0 && run != ticks) end += run - 1;
                if (run == ticks) end += run - 1;
                if (line[end] == '|')
                    fuzz::require(line[end - 1] == '\\' || !line.starts_with('|'), "a bar in a code span is escaped");
            }
            fuzz::require(run == ticks, "a code span ends on its line");
            i = end - 1;
        } else if (line[i] == '<') {
            fuzz::require(begins_with_one_of(line.substr(i), {"<details>", "</details>", "<summary>", "</summary>",
                                                              "<code>", "</code>", "<!-- -->"}) ||
                              (i >= 2 && line.substr(i - 2, 2) == "]("),
                          "no tag but the report's own");
        } else if (line[i] == '|') {
            ++bars;
        }
    }
    return bars;
}

void check_markdown(const std::string& text) {
    fuzz::require(text::is_plain(text, true), "Markdown is plain text");
    std::size_t columns = 0; // of the table that the line before belongs to
    for (const std::string_view line : lines_of(text)) {
        const std::size_t bars = check_markdown_line(line);
        const bool row = line.starts_with('|');
        if (row) fuzz::require(columns == 0 || bars == columns, "a table's rows have its columns");
        columns = row ? bars : 0;
    }
}

void check_csv(const std::string& text) {
    fuzz::require(text::is_plain(text, true), "CSV is plain text");
    std::size_t columns = 0;
    for (const std::string_view line : lines_of(text)) {
        std::size_t commas = 0;
        bool quoted = false;
        for (const char c : line) {
            quoted ^= c == '"';
            commas += c == ',' && !quoted ? 1 : 0;
        }
        fuzz::require(!quoted, "a quoted cell ends on its line");
        fuzz::require(columns == 0 || commas == columns, "CSV's rows have its columns");
        columns = commas;
    }
}

/// Every line is a command of ours, and what was read stands in quotes.
void check_script(const std::string& text) {
    fuzz::require(text::is_plain(text, true), "gnuplot's script is plain text");
    for (const std::string_view line : lines_of(text)) {
        const bool figures = !line.empty() && (line[0] == '-' || (line[0] >= '0' && line[0] <= '9'));
        fuzz::require(figures || begins_with_one_of(line, {"set ", "unset ", "plot $line", "$line", "END"}),
                      "gnuplot gets commands of ours");
        char quote = 0;
        for (const char c : line) {
            fuzz::require(std::string_view("`!@;|&").find(c) == std::string_view::npos, "nothing that gnuplot runs");
            fuzz::require(quote == '"' || c != '\\', "no text outside of quotes");
            if (quote == 0 && (c == '"' || c == '\''))
                quote = c;
            else if (c == quote)
                quote = 0;
        }
        fuzz::require(quote == 0, "quotes end on their line");
    }
}

void check_json(const Json& json) {
    const std::string text = dump(json);
    fuzz::require(text::is_plain(text, true), "JSON is shown as plain text");
    fuzz::require(Json::accept(text), "what is written is JSON");
}

void check_outputs(const std::vector<LeaderboardTable>& tables) {
    const std::vector<std::string> plots(tables.size(), "plots/a b<c>.svg");
    for (const Detail detail : {Detail::brief, Detail::whole}) check_markdown(to_markdown(tables, detail, plots));
    check_json(to_json(tables));
    for (const LeaderboardTable& table : tables) check_script(plot_script(table));
}

void read_as_bench(const Json& json) {
    const Bench bench = bench_from_json(json, "bench.json");
    fuzz::require(text::is_plain(render(bench, Format::table), true), "a table is plain text");
    static const PluginHost plugins;
    fuzz::require(text::is_plain(bench_notes(bench, plugins), true), "what stands below a table is plain text");
    check_markdown(render(bench, Format::markdown));
    check_csv(render(bench, Format::csv));
    check_json(to_json(bench));
    const Bench again = bench_from_json(parse_json(dump(to_json(bench)), "again.json"), "again.json");
    fuzz::require(again.rows.size() == bench.rows.size(), "what is written is read again");
    check_outputs(leaderboard_of(std::vector{LeaderboardInput{"bench.json", bench, std::nullopt}}));
}

void read_as_verdict(const Json& json) {
    const VerdictInput verdict{"verdict.json", verdict_from_json(json, "verdict.json")};
    const LeaderboardInput bench{"bench.json", made_bench_with_budgets(), std::nullopt};
    check_outputs(leaderboard_of(std::vector{bench}, std::vector{verdict}));
}

void read_as_engine_run(const Json& json) {
    const std::vector<EngineTable> tables = engine_tables(std::vector{engine_run_from_json(json, "engine.json")});
    check_markdown(to_markdown({}, Detail::whole, {}, tables));
    check_json(to_json(std::span<const LeaderboardTable>{}, tables));
}

void read_as_tasks(const Json& json) {
    const Tasks tasks = tasks_from_json(json, "tasks.json");
    for (const Detail detail : {Detail::brief, Detail::whole}) check_markdown(tasks_to_markdown(tasks, detail));
    check_json(tasks_to_json(tasks));
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(fuzz::text_of(data, size));
    for (const auto read : {read_as_bench, read_as_verdict, read_as_engine_run, read_as_tasks}) {
        try {
            read(parse_json(text, "input.json"));
        } catch (const Error& error) {
            fuzz::check_message(error);
            fuzz::require(text::is_plain(error.what(), true), "a message is plain text");
        }
    }
    return 0;
}
