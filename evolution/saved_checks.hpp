// The checks of saved_run.hpp that need neither suite nor plugin. Internal to evolution/.
// SPDX-License-Identifier: MIT
#pragma once
#include <span>

#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

inline constexpr std::uint32_t most_generations = 1'000'000'000;

/// A scorer by its name: text out of a file names no library or other file to load. Throws Error.
void check_scorer_text(const JsonField& field, const std::string& scorer);
/// `retentions` are those of the content. Throw Error that names the field.
void check_saved_setup(const JsonField& content, const RunSetup& setup, std::span<const double> retentions);
void check_saved_state(const JsonField& content, const RunSetup& setup, const RunState& state, std::size_t retentions);

} // namespace evictlab::evolution
