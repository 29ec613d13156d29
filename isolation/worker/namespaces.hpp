// Namespaces of a worker's own, as far as the kernel and the user's rights allow.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>

namespace evictlab::isolation {

/// Enters new ones, those of `without` (layers.hpp) left away; gives the layers that were had. That of processes is for
/// children alone. The mounts are those of before until close_mounts().
std::uint32_t enter_namespaces(std::uint32_t without);

/// Makes every file system read-only and shows in /proc the processes of the own namespace alone, where that can be
/// done; gives the layers that hold. By a process that is within all that enter_namespaces() gave.
std::uint32_t close_mounts(std::uint32_t layers);

/// Gives up every right over what belongs to others (capabilities), for good.
void drop_capabilities();

} // namespace evictlab::isolation
