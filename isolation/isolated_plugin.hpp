// Plugins whose code runs in processes of their own, and never in this one: not even to say what they are.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <memory>

#include "framework/plugin/plugin.hpp"
#include "isolation/worker_pool.hpp"

namespace evictlab::isolation {

/// The plugin in the file; scores the same bits as Plugin::load()'s. Throws PluginError (phase "load"), Interrupted.
///
/// Its instances throw PluginError for all that Plugin::load()'s do, with the same words, and for what only a process
/// of its own survives: death by a signal or an exit, no answer in time, memory beyond the limit, a write outside the
/// scores, scores left unwritten, two calls that differ in spite of EVL_DETERMINISTIC, a changed floating-point mode or
/// locale. A process runs one scorer, that is one rule with one set of values, and is used again for that one only; a
/// scorer whose process ended by its own doing is not run again by this plugin. What befalls processes from outside is
/// a PluginError of Blame::outside, where fresh ones cannot answer either. The library is used from a sealed copy:
/// whatever becomes of the file changes nothing.
std::shared_ptr<const Plugin> load_isolated(const std::filesystem::path& file, std::shared_ptr<WorkerPool> pool);

} // namespace evictlab::isolation
