// Reading runs inside an engine, and merging them.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json/one_of.hpp"
#include "base/statistics/geometric_mean.hpp"
#include "base/statistics/mean.hpp"
#include "report/engine.hpp"
#include "report/shape.hpp"

namespace evictlab::report {
namespace {

constexpr double kl_rounding = 1e-5, most = 1e15;
constexpr std::array<std::string_view, 2> continuations{"text", "generated"};

std::string named(const JsonField& field) {
    if (field.text().empty()) field.fail("expected a name, found \"\"");
    return field.text();
}

std::size_t size_in(const JsonField& field, const char* name) {
    const auto member = field.optional_member(name);
    return member ? member->whole<std::size_t>() : 0;
}

double cpu_seconds(const JsonField& field) { return field.member("cpu_seconds").number_between(0, most); }

/// Files of before there were shapes have the granularity, and how scores were joined.
Shape shape_of(const JsonField& top) {
    if (const auto shape = top.optional_member("shape")) return read_shape(*shape);
    Json older{{"granularity", top.member("granularity").text()}};
    if (const auto join = top.optional_member("join")) older["join"] = join->text();
    const std::string file = "granularity and join";
    return read_shape(JsonField(older, file));
}

void read_cache(const JsonField& cache, EngineFigures& figures) {
    figures.cells = static_cast<double>(cache.member("cells").whole<std::size_t>());
    figures.bytes = cache.member("bytes").number_between(0, most);
}

EngineRow read_row(const JsonField& field, bool through_cache) {
    EngineRow row;
    EngineFigures& figures = row.figures;
    row.name.scorer = named(field.member("scorer"));
    read_cache(field.member("cache"), figures);
    if (const auto retention = field.optional_member("retention")) row.name.retention = retention->number_between(0, 1);
    if (const auto keep = field.optional_member("keep")) row.name.keep = keep->whole<std::size_t>();
    if (row.name.retention && row.name.keep) field.fail("expected a retention or a number to keep, found both");
    if (!row.name.retention && !row.name.keep && !through_cache) // files of before they said
        row.name.keep = static_cast<std::size_t>(figures.cells);
    figures.kl = field.member("kl").number_between(-kl_rounding, most);
    figures.perplexity = field.member("perplexity").number_between(0, most);
    figures.agreement = field.member("top1_agreement").number_between(0, 1);
    figures.token_cpu = cpu_seconds(field.member("token_median"));
    figures.scoring_cpu = cpu_seconds(field.member("scoring"));
    figures.rewriting_cpu = cpu_seconds(field.member("rewriting"));
    return row;
}

EngineFigures over_documents(std::span<const EngineFigures> documents) {
    const auto all = [&](double EngineFigures::*figure) {
        std::vector<double> values;
        for (const EngineFigures& each : documents) values.push_back(each.*figure);
        return values;
    };
    const auto median = [&](double EngineFigures::*figure) {
        std::vector<double> values = all(figure);
        std::ranges::sort(values);
        return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
    };
    if (documents.size() == 1) return documents.front();
    return {mean(all(&EngineFigures::cells)),        mean(all(&EngineFigures::bytes)),
            geometric_mean(all(&EngineFigures::kl)), geometric_mean(all(&EngineFigures::perplexity)),
            mean(all(&EngineFigures::agreement)),    median(&EngineFigures::token_cpu),
            median(&EngineFigures::scoring_cpu),     median(&EngineFigures::rewriting_cpu)};
}

bool same_table(const EngineRun& a, const EngineRun& b) {
    return a.setting == b.setting && std::ranges::equal(a.rows, b.rows, {}, &EngineRow::name, &EngineRow::name);
}

EngineTable merged(std::span<const EngineRun* const> runs) {
    EngineTable table{runs.front()->setting, {}, {}, {}, {}};
    std::vector<EngineFigures> full;
    std::vector<std::vector<EngineFigures>> rows(runs.front()->rows.size());
    for (const EngineRun* run : runs) {
        const auto other = std::ranges::find(table.documents, run->document);
        if (other != table.documents.end())
            throw Error(fmt::format(
                "{}: of the document \"{}\", as is {}, with the same model, cache and scorers: give "
                "one run of each document",
                run->file, run->document, table.files[static_cast<std::size_t>(other - table.documents.begin())]));
        table.files.push_back(run->file);
        table.documents.push_back(run->document);
        full.push_back(run->full);
        for (std::size_t r = 0; r < rows.size(); ++r) rows[r].push_back(run->rows[r].figures);
    }
    table.full = over_documents(full);
    for (std::size_t r = 0; r < rows.size(); ++r)
        table.rows.push_back({runs.front()->rows[r].name, over_documents(rows[r])});
    return table;
}

} // namespace

EngineRun engine_run_from_json(const Json& json, const std::string& file) {
    const JsonField top(json, file);
    const JsonField format = top.member("format");
    if (format.text() != engine_format)
        format.fail(fmt::format("expected \"{}\", found {}: write it with `evictlab-llama --json`", engine_format,
                                format.shown()));
    EngineRun run;
    run.file = file;
    const JsonField model = top.member("model");
    run.setting.engine = "llama.cpp " + named(top.member("llama"));
    run.setting.model = named(model.member("file"));
    run.setting.sha256 = model.member("sha256").text();
    run.setting.cache_type = named(top.member("cache_type"));
    run.setting.continuation = one_of(top.member("continuation"), continuations);
    run.setting.shape = shape_of(top);
    run.setting.prompt_tokens = top.member("prompt_tokens").whole<std::size_t>();
    run.setting.continuation_tokens = top.member("continuation_tokens").whole<std::size_t>();
    run.setting.threads = top.member("threads").whole<std::size_t>();
    run.setting.every = size_in(top, "every");
    run.setting.cache = size_in(top, "cache");
    const auto document = top.optional_member("document");
    run.document = document ? named(*document) : file;
    const JsonField full = top.member("full");
    read_cache(full.member("cache"), run.full);
    run.full.perplexity = full.member("perplexity").number_between(0, most);
    run.full.agreement = 1;
    run.full.token_cpu = cpu_seconds(full.member("token_median"));
    for (const auto& field : top.member("rows").elements()) {
        run.rows.push_back(read_row(field, run.setting.cache > 0));
        if (std::ranges::count(run.rows, run.rows.back().name, &EngineRow::name) > 1)
            field.fail(fmt::format("a second row for the scorer \"{}\" with this budget", run.rows.back().name.scorer));
    }
    if (run.rows.empty()) top.member("rows").fail("expected at least one row");
    return run;
}

EngineRun read_engine_run(const std::filesystem::path& file) {
    return engine_run_from_json(parse_json(read_text(file, std::uintmax_t{64} << 20), file.string()), file.string());
}

std::vector<EngineTable> engine_tables(std::span<const EngineRun> runs) {
    std::vector<std::vector<const EngineRun*>> groups;
    for (const EngineRun& run : runs) {
        const auto group =
            std::ranges::find_if(groups, [&](const auto& each) { return same_table(*each.front(), run); });
        if (group == groups.end())
            groups.push_back({&run});
        else
            group->push_back(&run);
    }
    std::vector<EngineTable> tables;
    for (const auto& group : groups) tables.push_back(merged(group));
    return tables;
}

} // namespace evictlab::report
