// What a scorer wants of a calibration. SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "framework/layer/calibration.hpp"
#include "framework/scorers/scorer.hpp"

namespace evictlab {

/// What the calibration, which may be null, lacks for it ("the column 'tri_score' reads a calibration, ..."), or "".
std::string lacks_calibration(const Scorer& scorer, const Calibration* calibration);

} // namespace evictlab
