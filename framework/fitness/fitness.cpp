// SPDX-License-Identifier: MIT
#include "framework/fitness/fitness.hpp"

#include <numeric>

namespace evictlab {

std::vector<RaceResult> Fitness::race(std::span<const FitnessJob> jobs, const StaysInRace&) const {
    std::vector<RaceResult> results;
    for (auto& errors : evaluate(SearchSplit::train, jobs)) results.push_back({std::move(errors)});
    return results;
}

FormulaErrors mean_over_documents(std::span<const std::size_t> document, std::size_t documents, std::size_t retentions,
                                  const double* errors) {
    FormulaErrors out;
    out.by_document.assign(documents, std::vector<double>(retentions, 0.0));
    std::vector<double> blocks(documents, 0.0);
    for (std::size_t i = 0; i < document.size(); ++i) {
        blocks[document[i]] += 1;
        for (std::size_t r = 0; r < retentions; ++r) out.by_document[document[i]][r] += errors[i * retentions + r];
    }
    out.by_retention.assign(retentions, 0.0);
    for (std::size_t d = 0; d < documents; ++d)
        for (std::size_t r = 0; r < retentions; ++r) {
            out.by_document[d][r] /= blocks[d];
            out.by_retention[r] += out.by_document[d][r];
        }
    for (double& error : out.by_retention) error /= static_cast<double>(documents);
    out.average =
        std::accumulate(out.by_retention.begin(), out.by_retention.end(), 0.0) / static_cast<double>(retentions);
    return out;
}

} // namespace evictlab
