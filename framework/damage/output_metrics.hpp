// The output metrics of a model's layers. SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "framework/capture/captured_suite.hpp"
#include "framework/damage/continuation_damage.hpp"

namespace evictlab {

/// Made when first asked for, and kept. Thread-safe.
class OutputMetrics {
public:
    /// Null where the trace's suite has no output projection for the layer. Of this object.
    const OutputMetric* of(const CapturedTrace& trace, std::size_t layer) const;

private:
    struct Entry {
        std::once_flag once;
        OutputMetric metric;
    };
    mutable std::mutex mutex_;
    mutable std::map<std::pair<const OutputProjections*, std::size_t>, std::unique_ptr<Entry>> entries_;
};

} // namespace evictlab
