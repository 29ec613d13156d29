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

std::vector<double> root_of_gram(const double* matrix, std::size_t dim) {
    using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto size = static_cast<Eigen::Index>(dim);
    const Eigen::LDLT<Eigen::MatrixXd> factors(Eigen::Map<const Eigen::MatrixXd>(matrix, size, size));
    const Eigen::VectorXd lengths = factors.vectorD().cwiseMax(0).cwiseSqrt(); // rounding makes zeros negative
    const Eigen::MatrixXd ordered = factors.transpositionsP() * Eigen::MatrixXd::Identity(size, size);
    std::vector<double> root(dim * dim);
    Eigen::Map<RowMajor>(root.data(), size, size) = lengths.asDiagonal() * (factors.matrixU() * ordered);
    return root;
}

} // namespace evictlab::columns
