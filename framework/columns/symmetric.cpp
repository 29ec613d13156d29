// SPDX-License-Identifier: MIT
#include "framework/columns/symmetric.hpp"

#include <Eigen/Dense>

namespace evictlab::columns {

std::vector<double> inverse_of_positive(const std::vector<double>& matrix, std::size_t dim) {
    const auto size = static_cast<Eigen::Index>(dim);
    std::vector<double> inverse(dim * dim);
    const Eigen::LLT<Eigen::MatrixXd> factors(Eigen::Map<const Eigen::MatrixXd>(matrix.data(), size, size));
    Eigen::Map<Eigen::MatrixXd>(inverse.data(), size, size) = factors.solve(Eigen::MatrixXd::Identity(size, size));
    return inverse;
}

} // namespace evictlab::columns
