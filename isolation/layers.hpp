// The layers that hold a plugin in its process. Which of them there are depends on the build, the kernel and the user.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <string>

namespace evictlab::isolation {

enum Layer : std::uint32_t {
    filter_layer = 1U << 0,   ///< only listed system calls, with listed arguments (seccomp)
    landlock_layer = 1U << 1, ///< reads libraries and its own folder's, no other file (Landlock)
    user_layer = 1U << 2,     ///< namespaces from here on: a user without rights over others
    pid_layer = 1U << 3,      ///< processes; all in it end with its first
    mount_layer = 1U << 4,    ///< all file systems read-only
    net_layer = 1U << 5,
    ipc_layer = 1U << 6,
    all_layers = (1U << 7) - 1
};

/// For people: "seccomp filter, Landlock, namespaces user, pid"; "" for none.
std::string names_of_layers(std::uint32_t layers);

} // namespace evictlab::isolation
