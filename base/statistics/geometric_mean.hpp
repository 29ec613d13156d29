// Means of KL divergences, in which every document counts the same, however hard it is.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

namespace evictlab {

/// Nats. Below it a divergence counts as this, in searches and in reports: what is zero but for rounding has no
/// logarithm.
inline constexpr double least_divergence = 1e-9;
double log_divergence(double divergence);

/// Of at least one value: the mean of the logarithms, and its exponential.
double mean_log(std::span<const double> divergences);
double geometric_mean(std::span<const double> divergences);

/// At each retention, over documents in their order. At least one document, all of as many retentions.
std::vector<double> geometric_means(std::span<const std::vector<double>> by_document);

} // namespace evictlab
