// SPDX-License-Identifier: MIT
#include "framework/capture/captured_suite.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest/digest.hpp"
#include "base/json/json.hpp"
#include "base/option_error.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/suite_checks.hpp"
#include "framework/suite/generated_suites.hpp"

namespace evictlab {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t hashed_at_open = std::uintmax_t{64} << 20;

void refuse_other_options(const std::string& suite, const SuiteOptions& o) {
    if (const std::string option = option_of_micro(o); !option.empty())
        throw OptionError(option, fmt::format("belongs to suite 'micro': '{}' was captured from a model, and takes the "
                                              "number of patterns and sliding layers only",
                                              suite));
    if (o.patterns && *o.patterns == 0) throw OptionError("patterns", "is 0, but must be at least 1");
}

void check_hashes(const SuiteManifest& manifest) {
    std::uintmax_t bytes = 0;
    const auto add = [&bytes](const fs::path& file) {
        std::error_code error;
        const std::uintmax_t size = fs::file_size(file, error);
        if (!error) bytes += size; // what is missing is told when it is opened
    };
    for (const SuiteFile& file : manifest.files) {
        add(manifest.path_of(file.file));
        if (!file.reconstruction.empty()) add(manifest.path_of(file.reconstruction));
    }
    if (!manifest.model_file.empty()) add(manifest.path_of(manifest.model_file));
    if (bytes >= hashed_at_open) return;
    for (const SuiteFile& file : manifest.files) check_hashes_of(manifest, file);
    if (!manifest.model_file.empty()) check_hash(manifest.path_of(manifest.model_file), manifest.model_sha256);
}

/// What the suite's hash is over: everything that decides a figure.
std::string content_of(const SuiteManifest& manifest, const SuiteOptions& options) {
    Json files = Json::array();
    for (const SuiteFile& file : manifest.files)
        files.push_back({{"split", to_string(file.split)}, {"sha256", file.sha256}});
    Json content{{"files", std::move(files)}, {"model_file", manifest.model_sha256}};
    if (options.patterns) content["patterns"] = *options.patterns;
    if (options.sliding_layers) content["sliding_layers"] = true;
    return content.dump();
}

/// By name where that finds the same folder, else by the folder as it was given, which is never taken for a name.
std::string parameters_of(const SuiteManifest& manifest, const SuiteOptions& options) {
    Json parameters{{"name", manifest.name}, {"captured", 1}};
    const auto by_name = captured_suite_by_name(manifest.name);
    std::error_code error;
    if (!by_name || !fs::equivalent(*by_name, manifest.folder, error)) {
        const fs::path folder = manifest.folder.lexically_normal();
        parameters["folder"] = (folder.has_parent_path() ? folder : "." / folder).string();
    }
    if (options.patterns) parameters["patterns"] = *options.patterns;
    if (options.sliding_layers) parameters["sliding_layers"] = true;
    if (!options.calibration.empty()) parameters["calibration"] = options.calibration;
    return parameters.dump();
}

bool has_wov_norms_of(const CapturedTrace& trace) {
    return std::ranges::all_of(trace.layers(), [&trace](std::size_t layer) { return trace.has_wov_l1(layer); });
}

bool has_wo_grams_of(const CapturedTrace& trace) {
    const OutputProjections* const projections = trace.output_projections();
    return projections &&
           std::ranges::all_of(trace.layers(), [&](std::size_t layer) { return projections->has(layer); });
}

void note_contents(const CapturedTrace& trace, CapturedContents& contents) {
    const bool projects = trace.output_projections() != nullptr;
    contents.output_projections = contents.output_projections || projects;
    contents.wov_norms = contents.wov_norms && (projects || has_wov_norms_of(trace));
    contents.wo_grams = contents.wo_grams && has_wo_grams_of(trace);
    contents.sensitivities = contents.sensitivities && trace.probes() > 0;
    contents.token_types = contents.token_types && trace.has_token_type();
    if (!contents.calibration || !contents.uncalibrated.empty()) return;
    contents.uncalibrated = trace.calibration()
                                ? calibration_gap(trace, *trace.calibration())
                                : fmt::format("{} is of another model, {}", trace.name(), trace.model());
}

/// Over those of the traces that are used, in their order; "" where one is missing.
std::string reconstruction_hash(const std::vector<const SuiteFile*>& used) {
    std::string hashes;
    for (const SuiteFile* file : used) {
        if (file->reconstruction.empty()) return "";
        hashes += file->reconstruction_sha256;
    }
    return "sha256:" + sha256_hex(hashes);
}

} // namespace

Suite open_captured_suite(const fs::path& folder, const SuiteOptions& options) {
    const SuiteManifest manifest = read_suite_manifest(folder);
    refuse_other_options(manifest.name, options);
    if (const auto findings = documents_in_two_splits(manifest); !findings.empty()) throw Error(findings.front());
    check_hashes(manifest);
    const auto projections = open_projections(manifest);
    BySplit<std::vector<TracePtr>> splits;
    CapturedContents contents;
    contents.calibration = open_calibration(manifest, options.calibration);
    std::vector<const SuiteFile*> used;
    for (const SuiteFile& file : manifest.files) {
        std::vector<TracePtr>& split =
            splits[static_cast<std::size_t>(file.split) - static_cast<std::size_t>(CapturedSplit::train)];
        if (options.patterns && split.size() == *options.patterns) continue;
        split.push_back(open_trace_of(manifest, file, projections, contents.calibration, options.sliding_layers));
        note_contents(*split.back()->captured(), contents);
        used.push_back(&file);
    }
    contents.reconstruction = reconstruction_hash(used);
    return {manifest.name, parameters_of(manifest, options), content_of(manifest, options), contents,
            std::move(splits)};
}

} // namespace evictlab
