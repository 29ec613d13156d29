// Where things stand in a plot, in pixels from the lower left corner.
// SPDX-License-Identifier: MIT
#pragma once
#include <vector>

namespace evictlab::report {

/// Heights of labels that want to stand at `wanted`, in any order, moved as little as possible (least squares) so that
/// any two are at least `spacing` apart and all lie from `low` to `high`. Where those have no room for all, the spacing
/// shrinks.
std::vector<double> spread_labels(const std::vector<double>& wanted, double spacing, double low, double high);

/// A vertical axis from bottom to top, logarithmic where the values span more than a factor of twenty.
class Axis {
public:
    /// Values that are 0 but for rounding have no place on a logarithmic axis, and are left out.
    Axis(const std::vector<double>& values, double bottom, double top);
    double low() const { return low_; }
    double high() const { return high_; }
    bool logarithmic() const { return logarithmic_; }
    double place(double value) const; ///< in pixels
    /// Values to write beside a logarithmic axis: 1, 2 and 5 times powers of ten, of a long axis the powers alone.
    std::vector<double> round_values() const;

private:
    double low_ = 0, high_ = 1, bottom_, top_;
    bool logarithmic_ = false;
};

} // namespace evictlab::report
