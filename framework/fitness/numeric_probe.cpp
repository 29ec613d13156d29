// SPDX-License-Identifier: MIT
#include "framework/fitness/numeric_probe.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/numeric/aligned.hpp"
#include "framework/formula/program.hpp"

namespace evictlab {
namespace {

constexpr std::size_t places = 1024;

class BitHash {
public:
    void add(double value) {
        state_ = (state_ ^ std::bit_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15U;
        state_ ^= state_ >> 29;
    }
    std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0;
};

/// Spread over (-1, 1) by the golden ratio.
std::vector<double> spread(double first) {
    std::vector<double> values(padded(places));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = 2 * std::fmod(first + static_cast<double>(i) * 0.6180339887498949, 1.0) - 1;
    return values;
}

} // namespace

std::string numeric_probe() {
    BitHash hash;
    const std::vector<double> a = spread(0.1), b = spread(0.7);
    for (std::size_t i = 0; i < places; ++i) {
        hash.add(std::exp(20 * a[i]));
        hash.add(std::log(1 + b[i]));
    }
    const formula::Program program(
        formula::parse("exp(3*recent_attn) + tanh(position*recent_attn) + log(2 + position)*sqrt(abs(recent_attn)) + "
                       "abs(position)^1.7/(1 + recent_attn^2)"));
    std::vector<formula::ColumnView> views;
    for (const ColumnId id : program.columns())
        views.push_back({(columns::name(id) == "position" ? a : b).data(), false});
    std::vector<double> out(padded(places));
    formula::Workspace workspace;
    program.evaluate(views, program.constants(), places, out.data(), workspace);
    for (std::size_t i = 0; i < places; ++i) hash.add(out[i]);
    return fmt::format("{:016x}", hash.value());
}

} // namespace evictlab
