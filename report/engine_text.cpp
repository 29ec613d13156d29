// Runs inside an engine as Markdown and JSON.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "framework/cut/shape_json.hpp"
#include "report/bench_json.hpp"
#include "report/bench_table.hpp"
#include "report/cells.hpp"
#include "report/engine.hpp"
#include "report/table.hpp"

namespace evictlab::report {
namespace {

std::string budget_text(const EngineRowName& name, const EngineSetting& setting) {
    if (name.retention) return retention_key(*name.retention);
    return fmt::format("{} tokens", name.keep.value_or(setting.cache));
}

/// The geometric mean of the model's own verdict on the scorer; "" where it has none at this shape and retention.
std::string verdict_cell_at(const VerdictTable& verdict, const EngineRowName& name, const Shape& shape) {
    if (!name.retention || verdict.cut.shape != shape || !verdict.cut.keep.empty()) return "";
    const auto at = std::ranges::find(verdict.retentions, *name.retention);
    if (at == verdict.retentions.end()) return "";
    for (const VerdictTableRow& row : verdict.rows)
        if (row.scorecard.scorer == name.scorer)
            return figure(row.figures[1 + static_cast<std::size_t>(at - verdict.retentions.begin())].geometric);
    return "";
}

/// What the processor does, not the clock: how many a second, of what takes so many seconds.
std::string rate(double seconds) { return seconds > 0 ? fmt::format("{:.1f}", 1 / seconds) : ""; }
std::string mebibytes(double bytes) { return fmt::format("{:.2f}", bytes / (1 << 20)); }

Table row_table(const EngineTable& table, std::span<const VerdictTable> verdicts) {
    std::vector<const VerdictTable*> beside;
    for (const VerdictTable& verdict : verdicts)
        if (std::ranges::any_of(table.rows, [&](const EngineRow& row) {
                return !verdict_cell_at(verdict, row.name, table.setting.shape).empty();
            }))
            beside.push_back(&verdict);
    std::vector<TableColumn> columns{{"scorer", CellKind::code}, {"keeps", CellKind::number}, {"KL", CellKind::number}};
    for (const VerdictTable* verdict : beside) columns.push_back({"KL, " + verdict->model, CellKind::number});
    for (const char* title : {"perplexity", "same token", "cells", "MiB", "tokens a s", "scoring s", "rewriting s"})
        columns.push_back({title, CellKind::number});
    Table out(std::move(columns));
    const auto add = [&](std::vector<std::string> cells, const EngineFigures& shown) {
        for (std::string& cell : std::vector<std::string>{fmt::format("{:.0f}", shown.cells), mebibytes(shown.bytes),
                                                          rate(shown.token_cpu)})
            cells.push_back(std::move(cell));
        return cells;
    };
    std::vector<std::string> full{"(no eviction)", "", ""};
    full.insert(full.end(), beside.size(), "");
    full.push_back(fmt::format("{:.2f}", table.full.perplexity));
    full.emplace_back("");
    full = add(std::move(full), table.full);
    full.insert(full.end(), 2, "");
    out.add(std::move(full));
    for (const EngineRow& row : table.rows) {
        const EngineFigures& shown = row.figures;
        std::vector<std::string> cells{row.name.scorer, budget_text(row.name, table.setting), figure(shown.kl)};
        for (const VerdictTable* verdict : beside)
            cells.push_back(verdict_cell_at(*verdict, row.name, table.setting.shape));
        cells.push_back(fmt::format("{:.2f}", shown.perplexity));
        cells.push_back(fmt::format("{:.1f} %", 100 * shown.agreement));
        cells = add(std::move(cells), shown);
        cells.push_back(fmt::format("{:.3f}", shown.scoring_cpu));
        cells.push_back(fmt::format("{:.3f}", shown.rewriting_cpu));
        out.add(std::move(cells));
    }
    return out;
}

std::string setting_text(const EngineTable& table) {
    const EngineSetting& setting = table.setting;
    std::string text =
        fmt::format("Prompts of {} tokens ({}), judged along {} tokens {}; cache in {}; {}.", setting.prompt_tokens,
                    document_count(table.documents.size()), setting.continuation_tokens,
                    setting.continuation == "text" ? "of the text" : "that the model says",
                    text::markdown(setting.cache_type), in_words(setting.shape));
    if (setting.cache > 0)
        text += fmt::format(" The prompt goes through {} cells, {} tokens at a time.", setting.cache, setting.every);
    else if (setting.every > 0)
        text += fmt::format(" Evicted again after each {} tokens.", setting.every);
    return text;
}

std::string legend(const EngineTable& table) {
    return fmt::format(
        "KL divergence of the next-token distribution from the run without eviction, in nats a token, and perplexity: "
        "geometric means over documents; \"same token\": how often the likeliest is the same. A model's own KL beside "
        "it is over the verdict's documents, not these. Tokens a second and seconds are of the processor, medians over "
        "documents, {}; they are of one machine at one hour. {}\n",
        fmt::format("on {} thread{}", table.setting.threads, table.setting.threads == 1 ? "" : "s"),
        table.documents.size() < documents_for_a_claim
            ? fmt::format("Of {}: too few to tell rows apart that lie near each other.",
                          document_count(table.documents.size()))
            : "");
}

Json figures_to_json(const EngineFigures& shown) {
    return {{"kl", shown.kl},
            {"perplexity", shown.perplexity},
            {"top1_agreement", shown.agreement},
            {"cells", shown.cells},
            {"bytes", shown.bytes},
            {"token_cpu_seconds", shown.token_cpu},
            {"scoring_cpu_seconds", shown.scoring_cpu},
            {"rewriting_cpu_seconds", shown.rewriting_cpu}};
}

} // namespace

std::string engine_to_markdown(std::span<const EngineTable> tables, std::span<const VerdictTable> verdicts) {
    std::string text;
    for (const EngineTable& table : tables)
        text += fmt::format("\n### {} in {}\n\n{}\n\n{}\n{}", text::markdown_code(table.setting.model),
                            text::markdown(table.setting.engine), setting_text(table),
                            row_table(table, verdicts).markdown(), legend(table));
    return text;
}

Json engine_to_json(std::span<const EngineTable> tables) {
    Json all = Json::array();
    for (const EngineTable& table : tables) {
        const EngineSetting& setting = table.setting;
        Json json{{"engine", setting.engine},
                  {"model", setting.model},
                  {"sha256", setting.sha256},
                  {"cache_type", setting.cache_type},
                  {"prompt_tokens", setting.prompt_tokens},
                  {"continuation_tokens", setting.continuation_tokens},
                  {"continuation", setting.continuation},
                  {"threads", setting.threads},
                  {"files", table.files},
                  {"documents", table.documents}};
        if (!setting.shape.usual()) json["shape"] = to_json(setting.shape);
        if (setting.every > 0) json["every"] = setting.every;
        if (setting.cache > 0) json["cache"] = setting.cache;
        json["full"] = figures_to_json(table.full);
        for (const EngineRow& row : table.rows) {
            Json& written = json["rows"].emplace_back(Json{{"scorer", row.name.scorer}});
            if (row.name.retention) written["retention"] = *row.name.retention;
            if (row.name.keep) written["keep"] = *row.name.keep;
            written.update(figures_to_json(row.figures));
        }
        all.push_back(std::move(json));
    }
    return all;
}

} // namespace evictlab::report
