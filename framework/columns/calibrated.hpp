// What columns read of a calibration. SPDX-License-Identifier: MIT
#pragma once
#include "base/error.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::columns {

/// Of the head's layer. Whoever runs scorers refuses them before, where there is none.
inline const LayerCalibration& calibration_of(const HeadTensors& tensors) {
    if (!tensors.calibration) throw Error("a column reads a calibration, and there is none for this layer");
    return *tensors.calibration;
}

} // namespace evictlab::columns
