// What scorers do inside an inference engine: runs of evictlab-llama, each of one document, made into one table for
// runs of the same model, cache, shape and budgets. docs/report.md has the schema of their JSON, "evictlab-llama/1".
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json/json_field.hpp"
#include "framework/cut/shape.hpp"
#include "report/verdict.hpp"

namespace evictlab::report {

inline constexpr std::string_view engine_format = "evictlab-llama/1";

/// What figures are comparable by.
struct EngineSetting {
    std::string engine, model, sha256, cache_type, continuation; ///< continuation: "text" or "generated"
    Shape shape{};
    std::size_t prompt_tokens = 0, continuation_tokens = 0, threads = 0;
    std::size_t every = 0, cache = 0; ///< 0: evicted once; the prompt is read whole
    bool operator==(const EngineSetting&) const = default;
};

/// A scorer and what it was asked to keep: a share, a number of tokens, or (both nothing) what the cache holds.
struct EngineRowName {
    std::string scorer;
    std::optional<double> retention{};
    std::optional<std::size_t> keep{};
    bool operator==(const EngineRowName&) const = default;
};

/// Of one document, or over several: KL and perplexity geometric means, agreement and bytes means, seconds medians.
struct EngineFigures {
    double cells = 0, bytes = 0;
    double kl = 0, perplexity = 0, agreement = 0;             ///< kl in nats a token; agreement from 0 to 1
    double token_cpu = 0, scoring_cpu = 0, rewriting_cpu = 0; ///< seconds of the processor
};

struct EngineRow {
    EngineRowName name;
    EngineFigures figures;
};

struct EngineRun {
    std::string file, document;
    EngineSetting setting;
    EngineFigures full; ///< without eviction
    std::vector<EngineRow> rows;
};

/// Checks everything that it uses and ignores fields that it does not know. Error with file, field and what was
/// expected.
EngineRun engine_run_from_json(const Json& json, const std::string& file);
/// Reads a file of at most 64 MiB.
EngineRun read_engine_run(const std::filesystem::path& file);

struct EngineTable {
    EngineSetting setting;
    std::vector<std::string> files, documents; ///< in the order given
    EngineFigures full;
    std::vector<EngineRow> rows; ///< in the files' order
};

/// One table for runs of the same setting, scorers and budgets, in the order in which the runs name them. Error where
/// two of a table are of the same document.
std::vector<EngineTable> engine_tables(std::span<const EngineRun> runs);

/// Sections with headings of the third level. A model's own verdicts stand beside rows of the same shape and retention.
std::string engine_to_markdown(std::span<const EngineTable> tables, std::span<const VerdictTable> verdicts);
Json engine_to_json(std::span<const EngineTable> tables);

} // namespace evictlab::report
