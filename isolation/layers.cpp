// SPDX-License-Identifier: MIT
#include "isolation/layers.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace evictlab::isolation {

std::string names_of_layers(std::uint32_t layers) {
    constexpr std::array<std::pair<Layer, std::string_view>, 7> names{{{filter_layer, "seccomp filter"},
                                                                       {landlock_layer, "Landlock"},
                                                                       {user_layer, "user"},
                                                                       {pid_layer, "pid"},
                                                                       {mount_layer, "mount"},
                                                                       {net_layer, "net"},
                                                                       {ipc_layer, "ipc"}}};
    std::string text;
    bool in_namespaces = false;
    for (const auto& [layer, name] : names) {
        if ((layers & layer) == 0) continue;
        if (!text.empty()) text += ", ";
        if (layer >= user_layer && !std::exchange(in_namespaces, true)) text += "namespaces ";
        text += name;
    }
    return text;
}

} // namespace evictlab::isolation
