// The JSON of a bench result, "evictlab-bench/2": what `evictlab bench --format json` writes and `report` reads. Files
// of "evictlab-bench/1", which know one measure and no documents, are still read. docs/report.md describes both.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>

#include "base/json/json_field.hpp"
#include "framework/bench/scorecard.hpp"

namespace evictlab::report {

inline constexpr std::string_view bench_schema = "evictlab-bench/2";
inline constexpr std::string_view bench_schema_1 = "evictlab-bench/1";

struct BenchJsonOptions {
    /// Also the errors of each trace: "traces" of a split, [trace][retention]. Captured suites always have them, for
    /// documents are the unit of uncertainty.
    bool by_trace = false;
};

/// A retention as a key: the shortest decimal fraction that reads back to it, of two digits or more ("0.50", "0.125").
std::string retention_key(double retention);

/// Whether the traces were captured from a model: then they are documents of some kind, or judged under a protocol that
/// synthetic ones do not have.
bool is_captured(const Bench& bench);

/// The suite's parameters stand beside its name and hash. Every number reads back to the same bits. A split without
/// traces is left out.
Json to_json(const Bench& bench, const BenchJsonOptions& options = {});
/// {"0.25": ..., "avg": ...} of one split.
Json to_json(const SplitErrors& errors, std::span<const double> retentions, const BenchJsonOptions& options = {});
/// Checks everything; Error with `file`, the field and what was expected. Figures of a split that is left out are NaN.
/// Only `test_other_model` may be left out of "traces".
Bench bench_from_json(const Json& json, const std::string& file);
/// Reads a file of at most 256 MiB.
Bench read_bench(const std::filesystem::path& file);

/// A list of different retentions, each above 0 and at most 1, of a bench result or a verdict.
std::vector<double> read_retentions(const JsonField& field);

/// What rows read beside the suite, as Bench::sources: an object of "sha256:" and 64 digits.
std::map<std::string, std::string> read_sources(const JsonField& field);

/// [{"layers": 3, "of": 30}], of a bench result or a verdict.
Json to_json(std::span<const SharingLayers> sharing);
std::vector<SharingLayers> read_sharing_layers(const JsonField& field);

/// The suite as an object: name, hash, and the parameters that rebuild it.
Json suite_to_json(const std::string& name, const std::string& hash, const std::string& parameters_json);
/// Text with what is not UTF-8 replaced, indented, and a line end.
std::string dump(const Json& json);

} // namespace evictlab::report
