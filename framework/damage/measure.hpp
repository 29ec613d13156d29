// What figures of a kept set measure, and the names that files and options know the measures by.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace evictlab {

enum class Measure : std::uint8_t {
    attention_loss, ///< share of the attention that lies on evicted tokens
    output_error,   ///< relative squared change of the attention block's output
    predicted_kl,   ///< KL divergence of the model's predictions that the changes of outputs foretell, nats a token
};
inline constexpr std::array<std::string_view, 3> measure_names{"attention_loss", "output_error", "predicted_kl"};
constexpr std::string_view to_string(Measure measure) { return measure_names[static_cast<std::size_t>(measure)]; }
constexpr std::optional<Measure> measure_of(std::string_view name) {
    for (std::size_t m = 0; m < measure_names.size(); ++m)
        if (measure_names[m] == name) return static_cast<Measure>(m);
    return std::nullopt;
}

} // namespace evictlab
