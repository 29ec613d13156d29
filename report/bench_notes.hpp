// What a reader must know of a bench's figures before he believes them, as plain lines for a terminal: of how many
// documents they are, what they measure and which way is better, whether rows can be told apart, what a bare name ran.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "framework/bench/scorecard.hpp"
#include "framework/plugin/host.hpp"
#include "framework/scorers/published.hpp"

namespace evictlab::report {

/// A measure's unit: "in nats a token", "a ratio, without unit", "from 0 to 1".
std::string_view measure_unit(std::string_view measure);

/// How many documents or patterns each split has, the measure in words with its unit, what is a mean of what, and
/// whether the documents that judge are too few for any claim; of enough documents the best rows against the best
/// published one, with the paired 95 % interval of the difference; and the bare names among the rows.
std::string bench_notes(const Bench& bench, const PluginHost& plugins);

/// "snapkv is the seed's rule; the published one is snapkv@kvpress." and so on, one sentence a name; "" for none.
/// `quote` makes a scorer's name safe where it will stand.
std::string bare_names_text(std::span<const BareName> names, const std::function<std::string(std::string_view)>& quote);

} // namespace evictlab::report
