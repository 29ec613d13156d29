// The options that say at which grain tokens are evicted. SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <vector>

#include "cli/command.hpp"
#include "framework/cut/shape.hpp"

namespace evictlab::cli {

/// --granularity, --join, --block, --block-score, --sinks, --recent.
void add_shape_options(po::options_description& options);
bool names_shape(const po::variables_map& values); ///< whether any was typed
/// Throws UsageError for what is no shape, and for a way to join or to score blocks where that is of no use.
Shape shape_from(const po::variables_map& values);

/// --keep, beside --retention.
void add_keep_option(po::options_description& options);
/// The numbers given; none where none are. Throws UsageError where --retention is given as well.
std::vector<std::size_t> keep_from(const po::variables_map& values);

} // namespace evictlab::cli
