// SPDX-License-Identifier: MIT
#include "isolation/worker/confinement.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "isolation/layers.hpp"
#include "isolation/worker/landlock.hpp"
#include "isolation/worker/system_call_filter.hpp"

namespace evictlab::isolation {
namespace {

constexpr std::size_t most_stack = std::size_t{64} << 20;

void limit(int resource, rlim_t most) {
    rlimit now{};
    if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    const rlimit lowered{std::min(most, now.rlim_cur), most};
    ::setrlimit(static_cast<__rlimit_resource_t>(resource), &lowered);
}

} // namespace

MemoryInUse memory_in_use() {
    const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    std::array<char, 128> text{};
    const ssize_t count = ::read(file, text.data(), text.size());
    ::close(file);
    std::array<std::size_t, 7> pages{}; // size, resident, shared, text, 0, data, 0
    std::size_t number = 0;
    for (ssize_t i = 0; i < count && number < pages.size(); ++i) {
        const char c = text[static_cast<std::size_t>(i)];
        if (c >= '0' && c <= '9')
            pages[number] = pages[number] * 10 + static_cast<std::size_t>(c - '0');
        else
            ++number;
    }
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return {pages[0] * page, pages[5] * page};
}

/// Address space alone would not do: much of it is mapped from the beginning, and a plugin could unmap that.
MemoryInUse limit_resources(const Limits& limits) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, limits.open_files);
    limit(RLIMIT_FSIZE, limits.said);
    limit(RLIMIT_MSGQUEUE, 0);
    if (has_sanitizer()) return {};
    const MemoryInUse begun = memory_in_use();
    const std::size_t allowed = limits.memory << 20;
    limit(RLIMIT_STACK, std::min(most_stack, allowed));
    limit(RLIMIT_AS, begun.all + allowed);
    limit(RLIMIT_DATA, begun.own + allowed);
    return {begun.all + allowed - allowed / 8, begun.own + allowed - allowed / 8};
}

std::uint32_t confine(const SealedLibrary& plugin, std::uint32_t without) {
    std::uint32_t layers = 0;
    if ((without & landlock_layer) == 0 && close_files(plugin)) layers |= landlock_layer;
    if ((without & filter_layer) == 0 && filter_system_calls()) layers |= filter_layer;
    return layers;
}

} // namespace evictlab::isolation
