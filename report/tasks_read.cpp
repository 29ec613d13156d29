// Reading the answers of a model.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json/one_of.hpp"
#include "report/bench_json.hpp"
#include "report/tasks.hpp"

namespace evictlab::report {
namespace {

/// A KL divergence is not negative; sums in single precision leave a little room.
constexpr double kl_rounding = 1e-5;

struct Documents {
    std::vector<std::pair<std::string, std::string>> cells; ///< of each its task and kind of question
    std::vector<double> full;                               ///< of each what is right without eviction
};

Documents read_documents(const JsonField& field) {
    Documents documents;
    std::set<std::string> seen;
    for (const auto& element : field.elements()) {
        const auto name = element.member("name");
        if (!seen.insert(name.text()).second) name.fail(fmt::format("a second document {}", name.shown()));
        documents.cells.emplace_back(element.member("task").text(), one_of(element.member("question"), question_kinds));
        documents.full.push_back(element.member("full").member("right").number_between(0, 1));
    }
    if (documents.cells.empty()) field.fail("expected at least one document");
    return documents;
}

Tasks::Cell read_cell(const JsonField& field, const Documents& documents) {
    Tasks::Cell cell{field.member("task").text(),
                     field.member("format").text(),
                     one_of(field.member("question"), question_kinds),
                     "",
                     {},
                     0};
    if (const auto why = field.optional_member("left_out")) cell.left_out = why->text();
    for (std::size_t d = 0; d < documents.cells.size(); ++d)
        if (documents.cells[d] == std::pair(cell.task, cell.question)) {
            cell.documents.push_back(d);
            cell.full += documents.full[d];
        }
    if (cell.documents.empty()) field.fail("no document is of this task and kind of question");
    cell.full /= static_cast<double>(cell.documents.size());
    return cell;
}

std::vector<Tasks::Cell> read_cells(const JsonField& field, const Documents& documents) {
    std::vector<Tasks::Cell> cells;
    std::size_t known = 0;
    for (const auto& element : field.elements()) {
        cells.push_back(read_cell(element, documents));
        const auto same = [&cells](const Tasks::Cell& other) {
            return other.task == cells.back().task && other.question == cells.back().question;
        };
        if (std::ranges::count_if(cells, same) > 1) element.fail("a second cell of this task and kind of question");
        known += cells.back().documents.size();
    }
    if (known != documents.cells.size()) field.fail("a document is of a task and kind of question that has no cell");
    return cells;
}

/// [document][retention]
template <typename Value, typename Read>
std::vector<std::vector<Value>> read_figures(const JsonField& field, std::size_t documents, std::size_t retentions,
                                             Read read) {
    std::vector<std::vector<Value>> figures;
    for (const auto& document : field.elements()) {
        auto& values = figures.emplace_back();
        for (const auto& value : document.elements()) values.push_back(read(value));
        if (values.size() != retentions) document.fail(fmt::format("expected {} values, one a retention", retentions));
    }
    if (figures.size() != documents)
        field.fail(fmt::format("expected {} lists, one a document, found {}", documents, figures.size()));
    return figures;
}

Tasks::Row read_row(const JsonField& field, std::size_t documents, std::size_t retentions) {
    const auto figures = [&](std::string_view name, double least, double most) {
        return read_figures<double>(field.member(name), documents, retentions,
                                    [=](const JsonField& value) { return value.number_between(least, most); });
    };
    const auto shares = [&](const JsonField& list) {
        return read_figures<std::optional<double>>(list, documents, retentions, [](const JsonField& value) {
            return value.shown() == "null" ? std::nullopt : std::optional(value.number_between(0, 1 + 1e-9));
        });
    };
    Tasks::Row row{field.member("scorer").text(),
                   figures("right", 0, 1),
                   figures("answer_kl", -kl_rounding, 1e9),
                   shares(field.member("lost")),
                   {}};
    if (row.scorer.empty()) field.member("scorer").fail("expected a name, found \"\"");
    const auto kept = field.member("kept");
    for (const auto& [role, value] : kept.object().items()) row.kept.emplace(role, shares(kept.member(role)));
    return row;
}

} // namespace

Tasks tasks_from_json(const Json& json, const std::string& file) {
    const JsonField top(json, file);
    const JsonField schema = top.member("schema");
    if (schema.text() != tasks_schema)
        schema.fail(
            fmt::format("expected \"{}\", found {}: write it with `evictlab-tasks run`", tasks_schema, schema.shown()));
    Tasks tasks{file, top.member("model").text(), read_retentions(top.member("retentions")), {}, {}};
    if (tasks.model.empty()) top.member("model").fail("expected a name, found \"\"");
    const Documents documents = read_documents(top.member("documents"));
    tasks.cells = read_cells(top.member("cells"), documents);
    std::set<std::string> scorers;
    for (const auto& row : top.member("rows").elements()) {
        tasks.rows.push_back(read_row(row, documents.cells.size(), tasks.retentions.size()));
        if (!scorers.insert(tasks.rows.back().scorer).second)
            row.fail(fmt::format("a second row for the scorer \"{}\"", tasks.rows.back().scorer));
    }
    if (tasks.rows.empty()) top.member("rows").fail("expected at least one row");
    return tasks;
}

Tasks read_tasks(const std::filesystem::path& file) {
    return tasks_from_json(parse_json(read_text(file, std::uintmax_t{256} << 20), file.string()), file.string());
}

} // namespace evictlab::report
