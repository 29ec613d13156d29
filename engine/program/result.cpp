// SPDX-License-Identifier: MIT
#include "engine/program/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/digest/digest.hpp"
#include "base/text/shown.hpp"
#include "framework/cut/shape_json.hpp"

namespace evictlab::engine {
namespace {

constexpr double mebibyte = 1048576;

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / mebibyte; }

/// How many a second, of what takes so many seconds; 0 of nothing.
double rate(double seconds, double count = 1) { return seconds > 0 ? count / seconds : 0; }

std::string row_of(const Evicted& row, std::size_t width) {
    const Spent token = median(row.times);
    const std::string name = text::line(row.scorer);
    return fmt::format(
        "{}{}  {:>6}  {:>7.2f}  {:>7.2f}  {:>9.6f}  {:>8.4f}  {:>6.1f} %  {:>6.1f}  {:>6.1f}  {:>7.3f}  {:>7.3f}\n",
        name, std::string(width - text::width(name), ' '), row.cache.cells, mebibytes(row.cache.bytes()),
        mebibytes(row.cache.allocated()), row.difference.kl, row.difference.perplexity, 100 * row.difference.agreement,
        rate(token.wall), rate(token.cpu), row.costs.scoring.wall, row.costs.rewriting.wall);
}

std::string table_of(const Result& result) {
    constexpr std::string_view whole = "(no eviction)";
    std::size_t width = whole.size();
    for (const Evicted& row : result.rows) width = std::max(width, text::width(text::line(row.scorer)));
    const Spent token = median(result.full.continuation.times);
    std::string out =
        fmt::format("{:<{}}  {:>6}  {:>7}  {:>7}  {:>9}  {:>8}  {:>8}  {:>6}  {:>6}  {:>7}  {:>7}\n", "scorer", width,
                    "cells", "MiB", "of", "KL", "ppl", "top-1", "tok/s", "cpu", "scoring", "rewrite");
    const double perplexity = result.rows.empty() ? 0 : result.rows.front().difference.perplexity_full;
    out += fmt::format("{:<{}}  {:>6}  {:>7.2f}  {:>7.2f}  {:>9}  {:>8.4f}  {:>8}  {:>6.1f}  {:>6.1f}\n", whole, width,
                       result.full.cache.cells, mebibytes(result.full.cache.bytes()),
                       mebibytes(result.full.cache.allocated()), "", perplexity, "", rate(token.wall), rate(token.cpu));
    for (const Evicted& row : result.rows) out += row_of(row, width);
    return out;
}

Json to_json(const Spent& spent) { return {{"wall_seconds", spent.wall}, {"cpu_seconds", spent.cpu}}; }

Json to_json(const Cache& cache) {
    Json json{{"cells", cache.cells},
              {"bytes", cache.bytes()},
              {"capacity", cache.capacity},
              {"allocated_bytes", cache.allocated()}};
    if (cache.sliding_cells > 0) {
        json["sliding_cells"] = cache.sliding_cells;
        json["sliding_bytes"] = cache.sliding_cells * cache.bytes_of_sliding_cell;
    }
    return json;
}

Json to_json(const Evicted& row) {
    const Difference& difference = row.difference;
    Json json{{"scorer", row.scorer},
              {"hash", row.hash},
              {"cache", to_json(row.cache)},
              {"evictions", row.costs.evictions},
              {"kl", difference.kl},
              {"perplexity", difference.perplexity},
              {"top1_agreement", difference.agreement},
              {"token_median", to_json(median(row.times))},
              {"scoring", to_json(row.costs.scoring)},
              {"rewriting", to_json(row.costs.rewriting)}};
    if (row.budget && row.budget->keep > 0) json["keep"] = row.budget->keep;
    if (row.budget && row.budget->keep == 0) json["retention"] = row.budget->retention;
    if (row.by_places) json["later_evictions"] = "places";
    if (!row.text.empty()) json["text"] = text::lines(row.text);
    return json;
}

Json model_of(const Result& result) {
    std::array<char, 256> described{};
    llama_model_desc(result.model.get(), described.data(), described.size());
    return {{"file", result.model.file().filename().string()},
            {"sha256", sha256_hex_of_file(result.model.file()).value_or("")},
            {"description", text::line(described.data())},
            {"layers", result.model.layers()},
            {"query_heads", result.model.query_heads()},
            {"kv_heads", result.model.kv_heads()}};
}

} // namespace

std::string to_text(const Result& result) {
    const Plan& plan = result.options.plan;
    std::string out = fmt::format(
        "{}: {} layers, {} query and {} KV heads, cache in {}\nprompt: {} tokens, {:.1f} a second ({:.1f} a cpu "
        "second); "
        "judged along {} tokens {}\n",
        text::line(result.model.file().filename().string()), result.model.layers(), result.model.query_heads(),
        result.model.kv_heads(), ggml_type_name(plan.cache_type), result.prompt,
        rate(result.full.prompt.wall, static_cast<double>(result.prompt)),
        rate(result.full.prompt.cpu, static_cast<double>(result.prompt)), result.full.continuation.tokens.size(),
        result.options.continuation > 0 ? "of the text" : "that the model says without eviction");
    out += fmt::format("kept: {}\n", in_words(plan.cut.shape));
    if (plan.cache > 0)
        out += fmt::format("all of it goes through {} cells, and {} tokens go when they are full\n", plan.cache,
                           plan.every);
    else if (plan.every > 0)
        out += fmt::format("evicted again after each {} tokens\n", plan.every);
    out += "\n" + table_of(result);
    for (const Evicted& row : result.rows)
        if (row.by_places)
            out +=
                fmt::format("\n{} reads the attention of all queries: once tokens are gone it sees those that are left "
                            "as places 0, 1, 2, ... and their own queries\n",
                            text::line(row.scorer));
    out += fmt::format("\npeak memory of all this: {:.0f} MiB, the model and the run without eviction included\n",
                       mebibytes(peak_memory()));
    if (plan.generate == 0) return out;
    out += "\n(no eviction) says:\n" + text::lines(result.full.text) + "\n";
    for (const Evicted& row : result.rows)
        out += "\n" + text::line(row.scorer) + " says:\n" + text::lines(row.text) + "\n";
    return out;
}

Json to_json(const Result& result) {
    const Plan& plan = result.options.plan;
    Json json{{"format", "evictlab-llama/1"},
              {"evictlab", evl_version()},
              {"llama", llama_version()},
              {"model", model_of(result)},
              {"cache_type", ggml_type_name(plan.cache_type)},
              {"granularity", to_string(plan.cut.shape.granularity)},
              {"document", result.options.prompt.filename().string()},
              {"prompt_tokens", result.prompt},
              {"continuation_tokens", result.full.continuation.tokens.size()},
              {"continuation", result.options.continuation > 0 ? "text" : "generated"},
              {"threads", plan.threads}};
    if (plan.cut.shape.granularity != Granularity::head) json["join"] = to_string(plan.cut.shape.join);
    if (!plan.cut.shape.usual()) json["shape"] = to_json(plan.cut.shape);
    if (plan.every > 0) json["every"] = plan.every;
    if (plan.cache > 0) json["cache"] = plan.cache;
    json["full"] = {{"cache", to_json(result.full.cache)},
                    {"perplexity", result.rows.empty() ? 0 : result.rows.front().difference.perplexity_full},
                    {"prompt", to_json(result.full.prompt)},
                    {"token_median", to_json(median(result.full.continuation.times))}};
    if (plan.generate > 0) json["full"]["text"] = text::lines(result.full.text);
    json["rows"] = Json::array();
    for (const Evicted& row : result.rows) json["rows"].push_back(to_json(row));
    json["peak_memory_bytes"] = peak_memory();
    return json;
}

} // namespace evictlab::engine
