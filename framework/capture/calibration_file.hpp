// Calibration files: reading them, and whether one is of a suite's model.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <memory>

#include "framework/capture/captured_suite.hpp"
#include "framework/layer/calibration.hpp"

namespace evictlab {

/// Reads and checks a whole file of the format evictlab-calibration/1. Throws Error with file, tensor or metadata.
std::shared_ptr<const Calibration> read_calibration(const std::filesystem::path& file);

/// The one that is asked for, else the suite's own, else null. Throws Error where it cannot be read, its hash is
/// another than suite.json says, it is of another model, or was learned from a document that the suite judges by.
std::shared_ptr<const Calibration> open_calibration(const SuiteManifest& manifest, const std::string& asked_for = {});

/// Throws Error where the trace, one of the calibration's model, has other heads than it.
void check_calibration(const CapturedTrace& trace, const Calibration& calibration);

/// Which layer of the trace it lacks, in words, or "".
std::string calibration_gap(const CapturedTrace& trace, const Calibration& calibration);

} // namespace evictlab
