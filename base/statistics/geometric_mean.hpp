// Means of KL divergences, in which every document counts the same, however hard it is.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <vector>

namespace evictlab {

/// The mean of the logarithms; what is below 1e-9 nats counts as that, so that 0 has one. At least one value.
double mean_log(std::span<const double> divergences);

/// At each retention, over documents in their order. At least one document, all of as many retentions.
std::vector<double> geometric_means(std::span<const std::vector<double>> by_document);

} // namespace evictlab
