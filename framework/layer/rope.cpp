// SPDX-License-Identifier: MIT
#include "framework/layer/rope.hpp"

#include <cmath>

namespace evictlab {

void Rotation::apply(const double* x, double* out) const {
    const std::size_t half = cosine.size();
    for (std::size_t m = 0; m < half; ++m) {
        out[m] = x[m] * cosine[m] - x[m + half] * sine[m];
        out[m + half] = x[m + half] * cosine[m] + x[m] * sine[m];
    }
}

void set_back_from(const HeadTensors& t, double position, Rotation& rotation) {
    for (std::size_t m = 0; m < t.dim / 2; ++m) {
        const double angle = position * static_cast<double>(t.rope_inv_freq[m]);
        rotation.cosine[m] = std::cos(angle) / static_cast<double>(t.rope_scale);
        rotation.sine[m] = -std::sin(angle) / static_cast<double>(t.rope_scale);
    }
}

/// By the sums of cosines and sines of equally spaced angles.
void set_mean(const HeadTensors& t, std::size_t from, std::size_t future, Rotation& rotation) {
    const auto count = static_cast<double>(future);
    const double middle = static_cast<double>(from) + (count - 1) / 2;
    for (std::size_t m = 0; m < t.dim / 2; ++m) {
        const auto step = static_cast<double>(t.rope_inv_freq[m]);
        const double below = std::sin(step / 2);
        const double shrink = std::fabs(below) > 1e-12 ? std::sin(count * step / 2) / (count * below) : 1;
        rotation.cosine[m] = static_cast<double>(t.rope_scale) * shrink * std::cos(middle * step);
        rotation.sine[m] = static_cast<double>(t.rope_scale) * shrink * std::sin(middle * step);
    }
}

} // namespace evictlab
