// The answers of a model in Markdown and JSON.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

#include "base/output/write_file.hpp"
#include "base/statistics/wilson.hpp"
#include "base/text/quoting.hpp"
#include "framework/scorers/name.hpp"
#include "report/bench_json.hpp"
#include "report/cells.hpp"
#include "report/table.hpp"
#include "report/tasks.hpp"

namespace evictlab::report {
namespace {

using Cells = std::vector<const Tasks::Cell*>;

double mean_over(const Tasks::Figures& figures, const Tasks::Cell& cell, std::size_t retention) {
    double sum = 0;
    for (const std::size_t d : cell.documents) sum += figures[d][retention];
    return sum / static_cast<double>(cell.documents.size());
}

/// Of the documents that have such a span.
std::optional<double> mean_over(const Tasks::Shares& shares, const Tasks::Cell& cell, std::size_t retention) {
    double sum = 0, count = 0;
    for (const std::size_t d : cell.documents)
        if (const auto share = shares[d][retention]) {
            sum += *share;
            ++count;
        }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

/// Of the cells that have any; each counts the same.
std::optional<double> mean_over(const Tasks::Shares& shares, std::span<const Tasks::Cell* const> cells,
                                std::size_t retention) {
    double sum = 0, count = 0;
    for (const Tasks::Cell* cell : cells)
        if (const auto share = mean_over(shares, *cell, retention)) {
            sum += *share;
            ++count;
        }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

/// How many examples of one task a mean over cells is as sure as.
double examples_of(std::span<const Tasks::Cell* const> cells) {
    double inverse = 0;
    for (const Tasks::Cell* cell : cells) inverse += 1 / static_cast<double>(cell->documents.size());
    const auto count = static_cast<double>(cells.size());
    return count * count / inverse;
}

std::string percent_text(const Estimate& share) {
    return fmt::format("{:.0f} % [{:.0f}, {:.0f}]", 100 * share.value, 100 * share.interval->low,
                       100 * share.interval->high);
}

std::string share_text(const std::optional<double>& share) {
    return share ? fmt::format("{:.0f} %", 100 * *share) : "";
}

/// What one question's cells of a row say at a retention, as a table's cell.
using Told = std::function<std::string(const Tasks::Row&, const Cells&, std::size_t)>;

/// Rows as scorers, and a column for each kind of question and retention.
std::string table_of(const Tasks& tasks, const std::vector<const Tasks::Row*>& rows,
                     const std::array<Cells, question_kinds.size()>& cells, const Told& told) {
    std::vector<TableColumn> columns{{"scorer", CellKind::code}};
    for (std::size_t q = 0; q < cells.size(); ++q)
        for (const double retention : tasks.retentions)
            if (!cells[q].empty())
                columns.push_back(
                    {fmt::format("{} {}", question_kinds[q], retention_key(retention)), CellKind::number});
    Table table(std::move(columns));
    for (const Tasks::Row* row : rows) {
        std::vector<std::string> line{row->scorer};
        for (const Cells& of_question : cells)
            for (std::size_t r = 0; r < tasks.retentions.size() && !of_question.empty(); ++r)
                line.push_back(told(*row, of_question, r));
        table.add(std::move(line));
    }
    return table.markdown();
}

std::string right_cell(const Tasks::Row& row, const Cells& cells, std::size_t retention) {
    return percent_text(task_figure(row, cells, retention).right);
}

std::string kl_cell(const Tasks::Row& row, const Cells& cells, std::size_t retention) {
    return fmt::format("{:.3f}", task_figure(row, cells, retention).answer_kl);
}

/// Best first: by what is right, over both kinds of questions and all retentions, and where that is equal by KL.
std::vector<const Tasks::Row*> sorted_rows(const Tasks& tasks, const std::array<Cells, question_kinds.size()>& cells) {
    const auto standing = [&](const Tasks::Row& row) {
        double right = 0, kl = 0;
        for (const Cells& of_question : cells)
            for (std::size_t r = 0; r < tasks.retentions.size() && !of_question.empty(); ++r) {
                const TaskFigure figure = task_figure(row, of_question, r);
                right += figure.right.value;
                kl += figure.answer_kl;
            }
        return std::tuple(!is_bound(row.scorer), -right, kl);
    };
    std::vector<const Tasks::Row*> rows;
    for (const Tasks::Row& row : tasks.rows) rows.push_back(&row);
    std::ranges::stable_sort(rows, [&](const auto* a, const auto* b) { return standing(*a) < standing(*b); });
    return rows;
}

std::string full_cell(const Tasks::Cell* cell) {
    if (!cell) return "";
    const Estimate full{cell->full, wilson(cell->full, static_cast<double>(cell->documents.size()))};
    return fmt::format("{} of {}{}", percent_text(full), cell->documents.size(),
                       cell->left_out.empty() ? "" : ", left out");
}

/// The tasks in the order of the file.
std::vector<std::pair<std::string, std::string>> names_of(const Tasks& tasks) {
    std::vector<std::pair<std::string, std::string>> names;
    for (const Tasks::Cell& cell : tasks.cells)
        if (const std::pair name(cell.task, cell.format); std::ranges::find(names, name) == names.end())
            names.push_back(name);
    return names;
}

const Tasks::Cell* find_cell(const Tasks& tasks, std::string_view task, std::string_view question) {
    for (const Tasks::Cell& cell : tasks.cells)
        if (cell.task == task && cell.question == question) return &cell;
    return nullptr;
}

std::string full_table(const Tasks& tasks) {
    Table table({{"task"}, {"format"}, {"question unseen", CellKind::number}, {"question seen", CellKind::number}});
    for (const auto& [task, format] : names_of(tasks)) {
        std::vector<std::string> line{task, format};
        for (const auto question : question_kinds) line.push_back(full_cell(find_cell(tasks, task, question)));
        table.add(std::move(line));
    }
    return table.markdown();
}

std::string task_tables(const Tasks& tasks, const std::vector<const Tasks::Row*>& rows) {
    std::string text;
    for (const auto& [task, format] : names_of(tasks)) {
        std::array<Cells, question_kinds.size()> cells;
        for (std::size_t q = 0; q < cells.size(); ++q)
            if (const auto* cell = find_cell(tasks, task, question_kinds[q])) cells[q].push_back(cell);
        const auto told = [](const Tasks::Row& row, const Cells& of_question, std::size_t r) {
            return fmt::format("{}, {}", right_cell(row, of_question, r), kl_cell(row, of_question, r));
        };
        text += fmt::format("\n**{}** ({}): right, KL\n\n{}", text::markdown(task), text::markdown(format),
                            table_of(tasks, rows, cells, told));
    }
    return text;
}

std::string span_tables(const Tasks& tasks, const std::vector<const Tasks::Row*>& rows,
                        const std::array<Cells, question_kinds.size()>& cells) {
    std::set<std::string> roles;
    for (const Tasks::Row& row : tasks.rows)
        for (const auto& [role, shares] : row.kept) roles.insert(role);
    std::string text;
    for (const std::string& role : roles)
        text +=
            fmt::format("\nKept of **{}**\n\n{}", text::markdown(role),
                        table_of(tasks, rows, cells, [&](const auto& row, const Cells& of_question, std::size_t r) {
                            const auto found = row.kept.find(role);
                            return found == row.kept.end() ? "" : share_text(mean_over(found->second, of_question, r));
                        }));
    return text;
}

std::string counted_note(const std::array<Cells, question_kinds.size()>& cells) {
    std::string text;
    for (std::size_t q = 0; q < cells.size(); ++q) {
        std::string names;
        for (const Tasks::Cell* cell : cells[q])
            names +=
                fmt::format("{}{} ({})", names.empty() ? "" : ", ", text::markdown(cell->task), cell->documents.size());
        text += fmt::format("{}question {}: {}", q == 0 ? "" : "; ", question_kinds[q], names.empty() ? "none" : names);
    }
    return text;
}

constexpr std::string_view meaning =
    "Evicted at the prompt's end; greedy answers, counted as the task does. A scorer has not seen the question "
    "(unseen), or it stands at the prompt's end (seen); the two are in no mean together. In brackets 95 % intervals "
    "over examples of these tasks (Wilson's). `oracle` is a bound, and tasks of which the model itself gets less than "
    "half right are left out of means.";

std::string mean_tables(const Tasks& tasks, const std::vector<const Tasks::Row*>& rows,
                        const std::array<Cells, question_kinds.size()>& cells) {
    if (std::ranges::all_of(cells, &Cells::empty)) return "\nThe model can do none of these tasks by itself.\n";
    const auto lost = [](const Tasks::Row& row, const Cells& of_question, std::size_t r) {
        return share_text(task_figure(row, of_question, r).lost);
    };
    return fmt::format(
        "\nRight, mean over tasks that the model can do ({}):\n\n{}\n"
        "KL divergence on the tokens of the right answers, from the run without eviction, nats a "
        "token:\n\n{}\n{}",
        counted_note(cells), table_of(tasks, rows, cells, right_cell), table_of(tasks, rows, cells, kl_cell),
        folded("Share of the answer's tokens in the prompt that no head kept", table_of(tasks, rows, cells, lost)));
}

} // namespace

std::vector<const Tasks::Cell*> counted_cells(const Tasks& tasks, std::string_view question) {
    Cells cells;
    for (const Tasks::Cell& cell : tasks.cells)
        if (cell.question == question && cell.left_out.empty()) cells.push_back(&cell);
    return cells;
}

TaskFigure task_figure(const Tasks::Row& row, std::span<const Tasks::Cell* const> cells, std::size_t retention) {
    TaskFigure figure;
    for (const Tasks::Cell* cell : cells) {
        figure.right.value += mean_over(row.right, *cell, retention) / static_cast<double>(cells.size());
        figure.answer_kl += mean_over(row.answer_kl, *cell, retention) / static_cast<double>(cells.size());
    }
    figure.right.interval = wilson(figure.right.value, examples_of(cells));
    figure.lost = mean_over(row.lost, cells, retention);
    return figure;
}

std::string tasks_to_markdown(const Tasks& tasks, Detail detail) {
    std::array<Cells, question_kinds.size()> cells;
    for (std::size_t q = 0; q < cells.size(); ++q) cells[q] = counted_cells(tasks, question_kinds[q]);
    const auto rows = sorted_rows(tasks, cells);
    std::string text =
        fmt::format("### The answers of {}\n\n{}\n\nWith the full cache:\n\n{}{}", text::markdown_code(tasks.model),
                    meaning, full_table(tasks), mean_tables(tasks, rows, cells));
    if (detail == Detail::headline) return text;
    text += '\n' + folded("Each task", task_tables(tasks, rows));
    if (detail == Detail::whole) text += '\n' + folded("Share kept of each span", span_tables(tasks, rows, cells));
    return text;
}

Json tasks_to_json(const Tasks& tasks) {
    Json json{{"file", tasks.file}, {"model", tasks.model}, {"cells", Json::array()}, {"rows", Json::array()}};
    for (const Tasks::Cell& cell : tasks.cells) {
        json["cells"].push_back({{"task", cell.task},
                                 {"format", cell.format},
                                 {"question", cell.question},
                                 {"examples", cell.documents.size()},
                                 {"full", cell.full}});
        if (!cell.left_out.empty()) json["cells"].back()["left_out"] = cell.left_out;
    }
    for (const Tasks::Row& row : tasks.rows) {
        Json told{{"scorer", row.scorer}};
        for (const auto question : question_kinds)
            for (std::size_t r = 0; r < tasks.retentions.size(); ++r) {
                const Cells cells = counted_cells(tasks, question);
                if (cells.empty()) continue;
                const TaskFigure figure = task_figure(row, cells, r);
                told[std::string(question)][retention_key(tasks.retentions[r])] = {
                    {"right", figure.right.value},
                    {"interval", {figure.right.interval->low, figure.right.interval->high}},
                    {"answer_kl", figure.answer_kl},
                    {"lost", figure.lost ? Json(*figure.lost) : Json(nullptr)}};
            }
        json["rows"].push_back(std::move(told));
    }
    return json;
}

std::string to_markdown(std::span<const LeaderboardTable> tables, Detail detail, std::span<const std::string> plots,
                        std::span<const EngineTable> engines, std::span<const Tasks> tasks) {
    std::string text = to_markdown(tables, detail, plots, engines);
    for (const Tasks& of_model : tasks) text += (text.empty() ? "" : "\n") + tasks_to_markdown(of_model, detail);
    return text;
}

Json to_json(std::span<const LeaderboardTable> tables, std::span<const EngineTable> engines,
             std::span<const Tasks> tasks) {
    Json json = to_json(tables, engines);
    for (const Tasks& of_model : tasks) json["tasks"].push_back(tasks_to_json(of_model));
    return json;
}

void write_leaderboard(std::span<const LeaderboardTable> tables, const std::filesystem::path& file, Detail detail,
                       std::span<const std::string> plots, std::span<const EngineTable> engines,
                       std::span<const Tasks> tasks) {
    const auto ending = file.extension();
    if (tasks.empty() || (ending != ".md" && ending != ".json"))
        return write_leaderboard(tables, file, detail, plots, engines); // which refuses other endings
    if (ending == ".md") return write_file(file, to_markdown(tables, detail, plots, engines, tasks));
    write_file(file, dump(to_json(tables, engines, tasks)));
}

} // namespace evictlab::report
