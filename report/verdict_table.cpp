// Summing up a verdict: means over the test documents and their kinds, and ratios to the best published row.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/statistics/geometric_mean.hpp"
#include "base/text/shown.hpp"
#include "framework/protocols/protocol.hpp"
#include "framework/scorers/published.hpp"
#include "report/ranking.hpp"
#include "report/row_class.hpp"
#include "report/verdict.hpp"

namespace evictlab::report {
namespace {

using Values = std::vector<double>;

/// Of a row without a bench: what its name tells.
ScorecardRow nameless_row(const Verdict::Row& row, const PluginHost& plugins) {
    ScorecardRow made;
    made.scorer = row.scorer;
    if (is_bound(row.scorer)) made.kind = RowKind::bound;
    if (parse_scorer_name(row.scorer).is_formula()) made.kind = RowKind::formula;
    made.scorer_class = row.scorer_class ? row.scorer_class : class_of_row(made, plugins);
    made.uneven_budgets =
        row.uneven_budgets || (made.scorer_class && made.scorer_class->budget_kind() != BudgetKind::uniform);
    return made;
}

double arithmetic_mean(const Values& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

/// Those that were kept for judging; a second model's are a test split of their own.
std::vector<std::size_t> test_documents(const Verdict& verdict, const std::string& file) {
    std::vector<std::size_t> documents;
    for (std::size_t i = 0; i < verdict.documents.size(); ++i)
        if (verdict.documents[i].split == "test" || verdict.documents[i].split == "test_other_model")
            documents.push_back(i);
    if (documents.empty())
        throw Error(
            fmt::format("{}: documents: none is of the split \"test\", which a leaderboard shows", text::line(file)));
    return documents;
}

/// One row's figures of some documents: over all retentions, then by retention.
class RowFigures {
public:
    RowFigures(const Verdict::Row& row, std::span<const std::size_t> documents, std::size_t retentions) {
        for (std::size_t figure = 0; figure <= retentions; ++figure) {
            auto& kl = kl_.emplace_back();
            Values means, nll;
            for (const std::size_t d : documents) {
                const Values &divergences = row.kl[d], &changes = row.delta_nll[d];
                kl.push_back(figure == 0 ? geometric_mean(divergences) : divergences[figure - 1]);
                means.push_back(figure == 0 ? arithmetic_mean(divergences) : divergences[figure - 1]);
                nll.push_back(figure == 0 ? arithmetic_mean(changes) : changes[figure - 1]);
            }
            figures_.push_back({geometric_mean(kl), arithmetic_mean(means), arithmetic_mean(nll), {}, false});
        }
    }
    const std::vector<VerdictFigure>& figures() const { return figures_; }
    const Values& kl(std::size_t figure) const { return kl_[figure]; } ///< by document

private:
    std::vector<Values> kl_;
    std::vector<VerdictFigure> figures_;
};

std::vector<VerdictTable::Kind> kinds_of(const Verdict& verdict, std::span<const std::size_t> documents) {
    std::vector<VerdictTable::Kind> kinds;
    for (std::size_t i = 0; i < documents.size(); ++i) {
        const std::string& kind = verdict.documents[documents[i]].kind;
        auto found = std::ranges::find(kinds, kind, &VerdictTable::Kind::name);
        if (found == kinds.end()) found = kinds.insert(kinds.end(), {kind, {}});
        found->documents.push_back(i);
    }
    return kinds;
}

/// Takes those that the model cannot do from `documents`, unless there are no others.
void leave_out(const Verdict& verdict, std::vector<std::size_t>& documents, VerdictTable& table) {
    for (const std::size_t d : documents)
        if (const auto& document = verdict.documents[d]; !document.left_out.empty())
            table.left_out.push_back({document.name, document.kind, document.left_out});
    table.no_claims = table.left_out.size() == documents.size();
    if (!table.no_claims)
        std::erase_if(documents, [&](std::size_t d) { return !verdict.documents[d].left_out.empty(); });
}

bool keeps_too_much(const VerdictTable& table, const VerdictTableRow& row) {
    return overshoots(row.retention_used, table.allowed.empty() ? table.retentions : table.allowed);
}

/// The published row of the class that is best at the figure.
std::optional<std::size_t> best_published(const VerdictTable& table, TableClass of, std::size_t figure) {
    const auto figure_of = [&](std::size_t i) { return table.rows[i].figures[figure].geometric; };
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
        const VerdictTableRow& row = table.rows[i];
        if (!row.published || table_class(row.scorecard) != of || keeps_too_much(table, row)) continue;
        if (!best || figure_of(i) < figure_of(*best)) best = i;
    }
    return best;
}

/// Ratios to the published rows that are best at each figure.
void compare(VerdictTable& table, const std::vector<RowFigures>& rows) {
    const Bootstrap bootstrap(table.documents);
    for (std::size_t figure = 0; figure <= table.retentions.size(); ++figure) {
        std::array<std::optional<std::size_t>, table_classes.size()> best;
        for (const TableClass each : table_classes) {
            const auto found = best[each.index()] = best_published(table, each, figure);
            table.best_published[each.index()].push_back(found ? table.rows[*found].scorecard.scorer : "");
        }
        const auto ratio = [&](std::size_t i, TableClass to) -> std::optional<Estimate> {
            const auto yardstick = best[to.index()];
            if (!yardstick) return std::nullopt;
            return bootstrap.ratio(rows[i].kl(figure), rows[*yardstick].kl(figure));
        };
        for (std::size_t i = 0; i < rows.size(); ++i) {
            VerdictTableRow& row = table.rows[i];
            VerdictFigure& compared = row.figures[figure];
            const TableClass own = table_class(row.scorecard);
            compared.uniform_ratio = ratio(i, TableClass{});
            compared.ratio = own == TableClass{} ? compared.uniform_ratio : ratio(i, own);
            compared.win = row.scorecard.kind != RowKind::bound && compared.ratio && !keeps_too_much(table, row) &&
                           !table.no_claims && table.documents >= documents_for_a_claim &&
                           compared.ratio->interval->below(1);
        }
    }
}

/// One class after the other, each best first.
void put_in_order(VerdictTable& table) {
    std::ranges::stable_sort(table.rows, [](const VerdictTableRow& a, const VerdictTableRow& b) {
        const std::size_t of_a = table_class(a.scorecard).index(), of_b = table_class(b.scorecard).index();
        return of_a != of_b ? of_a < of_b : a.figures[0].geometric < b.figures[0].geometric;
    });
    std::array<std::size_t, table_classes.size()> ranks{};
    for (auto& row : table.rows)
        if (row.scorecard.kind != RowKind::bound && !keeps_too_much(table, row))
            row.rank = ++ranks[table_class(row.scorecard).index()];
}

} // namespace

VerdictTable summarise(const Verdict& verdict, const std::string& file, const FindRow& find_row,
                       const PluginHost& plugins) {
    std::vector<std::size_t> documents = test_documents(verdict, file);
    VerdictTable table;
    leave_out(verdict, documents, table);
    table.file = file;
    table.model = verdict.model;
    table.protocol = verdict.protocol;
    table.sources = verdict.sources;
    table.sharing_layers = verdict.sharing_layers;
    table.kv_bytes = verdict.kv_bytes;
    table.schedule = verdict.schedule;
    table.text = verdict.text;
    table.allowed = verdict.allowed;
    table.cut = verdict.cut;
    table.retentions = verdict.retentions;
    table.documents = documents.size();
    table.kinds = kinds_of(verdict, documents);
    std::vector<RowFigures> rows;
    for (const Verdict::Row& row : verdict.rows) {
        rows.emplace_back(row, documents, verdict.retentions.size());
        const ScorecardRow* known = find_row(row.scorer);
        VerdictTableRow& shown = table.rows.emplace_back();
        shown.scorecard = known ? *known : nameless_row(row, plugins);
        if (!shown.scorecard.scorer_class) shown.scorecard.scorer_class = row.scorer_class;
        shown.scorecard.cost = row.cost; // and not the bench's, which is of another run
        shown.published = shown.scorecard.kind == RowKind::plugin &&
                          is_published(row.scorer, protocol_info(verdict.protocol).rules, plugins);
        shown.figures = rows.back().figures();
        shown.retention_used = row.retention_used;
        for (const auto& kind : table.kinds) {
            std::vector<std::size_t> of_kind;
            for (const std::size_t i : kind.documents) of_kind.push_back(documents[i]);
            shown.kinds.push_back(RowFigures(row, of_kind, verdict.retentions.size()).figures());
        }
    }
    compare(table, rows);
    put_in_order(table);
    return table;
}

} // namespace evictlab::report
