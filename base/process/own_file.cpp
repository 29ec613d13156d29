// SPDX-License-Identifier: MIT
#include "base/process/own_file.hpp"

#include <dlfcn.h>
#include <link.h>

namespace evictlab {

std::filesystem::path own_file() {
    Dl_info info{};
    link_map* map = nullptr;
    if (dladdr1(reinterpret_cast<const void*>(&own_file), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) !=
            0 &&
        map && map->l_name[0] != '\0')
        return std::filesystem::canonical(map->l_name);
    return std::filesystem::read_symlink("/proc/self/exe");
}

} // namespace evictlab
