// How leaderboards write their figures.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/statistics/bootstrap.hpp"

namespace evictlab::report {

/// "output error" for output_error.
std::string measure_title(std::string_view measure);
/// What it is, in words that could follow "is the": "share of the attention that lies on evicted tokens".
std::string_view measure_meaning(std::string_view measure);
/// "+12.3 %", or "n/a".
std::string percent(const std::optional<double>& share, int decimals);
/// "0.0413", and where it has an interval "0.0413 [0.0350, 0.0490]". Differences have their sign.
std::string estimate_text(const Estimate& estimate, int decimals = 4, bool sign = false);
/// A row keeps about what was asked for where the share of kept tokens differs by less than this.
inline constexpr double same_retention = 0.005;
/// "0.10: 0.117": the share of tokens really kept at retentions where it differs from what was asked. `used` may be
/// empty.
std::string retention_used_text(std::span<const double> asked, std::span<const double> used);
/// "4 documents", "1 document": `what` in the singular.
std::string counted(std::size_t count, std::string_view what);
std::string document_count(std::size_t documents);
/// What intervals and the word "win" mean in a table over so many documents; `win` says of what interval.
std::string uncertainty_note(std::size_t documents, std::string_view win);
/// Text that is shown when a reader opens it, on GitHub.
std::string folded(std::string_view summary, std::string_view markdown);

} // namespace evictlab::report
