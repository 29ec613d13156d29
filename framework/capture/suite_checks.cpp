// SPDX-License-Identifier: MIT
#include "framework/capture/suite_checks.hpp"

#include <fmt/format.h>

#include <map>

#include "base/digest/digest.hpp"
#include "base/error.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/safetensors.hpp"

namespace evictlab {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view what) {
    throw Error(fmt::format("{}: {}", text::line(file.string()), what));
}

void check_against_suite(const SuiteManifest& manifest, const SuiteFile& file, const CapturedTrace& trace) {
    const auto compare = [&](std::string_view what, std::string_view here, std::string_view listed) {
        if (here != listed)
            fail(trace.file(),
                 fmt::format("its {} is {}, but suite.json says {}", what, text::named(here), text::named(listed)));
    };
    compare("document", trace.document(), file.document);
    if (trace.split() != CapturedSplit::none) compare("split", to_string(trace.split()), to_string(file.split));
    if (file.split != CapturedSplit::test_other_model) compare("model", trace.model(), manifest.model);
}

void check_projections(const CapturedTrace& trace, const OutputProjections& projections) {
    for (const std::size_t layer : trace.held_layers()) {
        if (!projections.has(layer))
            fail(projections.file(), fmt::format("has no output projection layers.{}.o_proj, but {} holds that layer",
                                                 layer, trace.file().filename().string()));
        const LayerShape shape = trace.shape(layer);
        if (projections.input_size(layer) != shape.query_heads * shape.dim)
            fail(projections.file(),
                 fmt::format("tensor 'layers.{}.o_proj' takes {} values, but the {} query heads of {} give {} each",
                             layer, projections.input_size(layer), shape.query_heads, trace.file().filename().string(),
                             shape.dim));
    }
}

} // namespace

bool may_share(CapturedSplit a, CapturedSplit b) {
    const auto only_judges = [](CapturedSplit split) {
        return split == CapturedSplit::test || split == CapturedSplit::test_other_model;
    };
    return a == b || (only_judges(a) && only_judges(b));
}

void check_hash(const std::filesystem::path& file, const std::string& sha256) {
    const auto found = sha256_hex_of_file(file);
    if (!found) fail(file, "cannot be read, but suite.json lists it");
    if (*found != sha256)
        fail(file, fmt::format("its SHA-256 is {}, but suite.json says {}: the file was changed or damaged; fetch or "
                               "capture the suite again",
                               *found, sha256));
}

void check_hashes_of(const SuiteManifest& manifest, const SuiteFile& file) {
    check_hash(manifest.path_of(file.file), file.sha256);
    if (!file.reconstruction.empty()) check_hash(manifest.path_of(file.reconstruction), file.reconstruction_sha256);
}

std::shared_ptr<const OutputProjections> open_projections(const SuiteManifest& manifest) {
    if (manifest.model_file.empty()) return nullptr;
    return std::make_shared<OutputProjections>(manifest.path_of(manifest.model_file));
}

std::shared_ptr<const CapturedTrace> open_trace_of(const SuiteManifest& manifest, const SuiteFile& file,
                                                   std::shared_ptr<const OutputProjections> projections,
                                                   std::shared_ptr<const Calibration> calibration,
                                                   bool sliding_layers) {
    CaptureOptions options;
    options.name = fmt::format("{}/{}/{}", manifest.name, to_string(file.split), file.document);
    options.kind = file.kind;
    options.left_out = file.left_out;
    options.answer_ends = file.answer_ends;
    options.sliding_layers = sliding_layers;
    if (!file.reconstruction.empty()) options.reconstruction = manifest.path_of(file.reconstruction);
    options.sha256 = file.sha256;
    options.projections = std::move(projections);
    options.projections_model = manifest.model;
    options.calibration = std::move(calibration);
    auto trace = std::make_shared<CapturedTrace>(manifest.path_of(file.file), std::move(options));
    check_against_suite(manifest, file, *trace);
    if (trace->held_layers().empty())
        fail(trace->file(), "all layers that it holds have a sliding window, so there is nothing to evict from; judge "
                            "them all the same by the option sliding-layers");
    if (trace->output_projections() != nullptr) check_projections(*trace, *trace->output_projections());
    if (trace->calibration() != nullptr) check_calibration(*trace, *trace->calibration());
    return trace;
}

std::vector<std::string> documents_in_two_splits(const SuiteManifest& manifest) {
    std::vector<std::string> findings;
    std::map<std::string, const SuiteFile*> seen;
    for (const SuiteFile& file : manifest.files) {
        const auto [place, is_new] = seen.emplace(file.document, &file);
        const SuiteFile& first = *place->second;
        if (is_new || may_share(first.split, file.split)) continue;
        findings.push_back(fmt::format("{}: document {} is in two splits: {} ({}) and {} ({})",
                                       manifest.path_of("suite.json").string(), text::named(file.document), first.file,
                                       to_string(first.split), file.file, to_string(file.split)));
    }
    return findings;
}

} // namespace evictlab
