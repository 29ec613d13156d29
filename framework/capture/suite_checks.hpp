// What opening a captured suite and verifying it have in common: one file at a time, each check in one place.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/capture/captured_suite.hpp"

namespace evictlab {

/// Throws Error where the file cannot be read or its SHA-256 is another.
void check_hash(const std::filesystem::path& file, const std::string& sha256);

/// The same of a trace's file and its second pass's.
void check_hashes_of(const SuiteManifest& manifest, const SuiteFile& file);

/// Null where the suite has no model file.
std::shared_ptr<const OutputProjections> open_projections(const SuiteManifest& manifest);

/// Opens a trace and checks it against the suite: split, document and model, some layer to judge, and an output
/// projection and a calibration of the right sizes for each of those. Throws Error.
std::shared_ptr<const CapturedTrace> open_trace_of(const SuiteManifest& manifest, const SuiteFile& file,
                                                   std::shared_ptr<const OutputProjections> projections,
                                                   std::shared_ptr<const Calibration> calibration, bool sliding_layers);

/// Whether two splits may hold the same text: a split with itself, and `test` with `test_other_model`, as both only
/// judge.
bool may_share(CapturedSplit a, CapturedSplit b);

inline constexpr std::uintmax_t most_manifest_bytes = std::uintmax_t{16} << 20;

/// A line for each field of suite.json that says other than the traces do; those are by SuiteManifest::files, null
/// where one could not be opened.
std::vector<std::string> fields_that_differ(const SuiteManifest& manifest,
                                            std::span<const std::shared_ptr<const CapturedTrace>> traces);

/// A line for each document that is in two splits that may not share it.
std::vector<std::string> documents_in_two_splits(const SuiteManifest& manifest);

} // namespace evictlab
