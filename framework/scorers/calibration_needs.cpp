// SPDX-License-Identifier: MIT
#include "framework/scorers/calibration_needs.hpp"

#include <fmt/format.h>

namespace evictlab {

std::string lacks_calibration(const Scorer& scorer, const Calibration* calibration) {
    for (const std::string& name : scorer.tables()) {
        if (!calibration) return fmt::format("the table '{}' is of a calibration, and there is none", name);
        if (!calibration->table(name)) return fmt::format("{} has no table '{}'", calibration->file, name);
    }
    for (const ColumnId id : scorer.columns()) {
        if (id == base_score_id || columns::needs(id) != ColumnNeeds::calibration) continue;
        if (!calibration)
            return fmt::format("the column '{}' reads a calibration, and there is none", columns::name(id));
        if (std::string absent = columns::absent(id, *calibration); !absent.empty()) return absent;
    }
    return "";
}

} // namespace evictlab
