// A scorer as the C interface holds it. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/scoring/scorer_run.hpp"

/// Immutable once made.
struct evl_scorer {
    evl_scorer(evictlab::Scorer opened, bool published, std::shared_ptr<const evictlab::Calibration> read);

    evictlab::Scorer scorer;
    evictlab::ColumnPlaces columns;
    std::optional<evictlab::ScorerRun> shared; ///< where several threads may use one run at once
    std::size_t queries = 0;                   ///< the latest ones that it needs
    bool token_type = false, wov_norm = false, wo_gram = false;
    std::uint32_t reconstruction = 0; ///< bits of evl_needs.reconstruction
    bool published = false;           ///< as it was published
    std::string hash, class_json;
    std::string formula;                                      ///< that gives its scores; "" where there is none
    std::shared_ptr<const evictlab::Calibration> calibration; ///< null where it reads none
};
