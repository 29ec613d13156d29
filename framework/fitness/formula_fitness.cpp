// SPDX-License-Identifier: MIT
#include "framework/fitness/formula_fitness.hpp"

#include "framework/fitness/prefill_fitness.hpp"
#include "framework/fitness/rescore_fitness.hpp"

namespace evictlab {

std::unique_ptr<HeldFitness> formula_fitness(const Suite& suite, const FormulaMeasuring& by, const UnitPlace& place) {
    if (suite.captured())
        return std::make_unique<PrefillFitness>(suite, by.retentions, by.columns, by.measure, std::size_t{12} << 30,
                                                by.query_stride, by.shape, by.keep, place);
    return std::make_unique<RescoreFitness>(place.documents.value_or(suite.search_traces()), by.retentions, by.columns,
                                            std::size_t{6} << 30, place.elsewhere);
}

} // namespace evictlab
