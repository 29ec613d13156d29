// SPDX-License-Identifier: MIT
#include "framework/damage/output_metrics.hpp"

namespace evictlab {

const OutputMetric* OutputMetrics::of(const CapturedTrace& trace, std::size_t layer) const {
    const OutputProjections* projections = trace.output_projections();
    if (!projections || !projections->has(layer)) return nullptr;
    Entry* entry = nullptr;
    {
        const std::lock_guard lock(mutex_);
        auto& slot = entries_[{projections, layer}];
        if (!slot) slot = std::make_unique<Entry>();
        entry = slot.get();
    }
    std::call_once(entry->once,
                   [&] { entry->metric = OutputMetric::of(projections->load(layer), projections->input_size(layer)); });
    return &entry->metric;
}

} // namespace evictlab
