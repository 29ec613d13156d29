// SPDX-License-Identifier: MIT
#include "isolation/worker/namespaces.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "isolation/layers.hpp"

namespace evictlab::isolation {
namespace {

// Linux 5.12, younger than some headers.
constexpr long mount_setattr = 442;
constexpr unsigned recursive = 0x8000;
constexpr std::uint64_t read_only = 0x1, no_setuid = 0x2;
struct MountAttributes {
    std::uint64_t set, clear, propagation, user_namespace;
};

void write_text(const char* file, const std::string& text) {
    const int opened = ::open(file, O_WRONLY | O_CLOEXEC);
    if (opened < 0) return;
    (void)!::write(opened, text.data(), text.size());
    ::close(opened);
}

/// Of the user alone, who goes by the same numbers within; without it no file can be made in a file system of its own.
void name_user(uid_t user, gid_t group) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", fmt::format("{0} {0} 1", user));
    write_text("/proc/self/gid_map", fmt::format("{0} {0} 1", group));
}

/// Without terminals, disks and the shared memory of others.
void show_few_devices() {
    constexpr std::array names{"null", "zero", "random", "urandom"};
    std::array<int, names.size()> devices{};
    for (std::size_t i = 0; i < names.size(); ++i)
        devices[i] = ::open(fmt::format("/dev/{}", names[i]).c_str(), O_PATH | O_CLOEXEC);
    const bool covered = ::mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k") == 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (devices[i] < 0) continue;
        const std::string file = fmt::format("/dev/{}", names[i]);
        const int made = covered ? ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
        if (made >= 0) {
            ::close(made);
            (void)::mount(fmt::format("/proc/self/fd/{}", devices[i]).c_str(), file.c_str(), nullptr, MS_BIND, nullptr);
        }
        ::close(devices[i]);
    }
}

bool make_mounts_read_only() {
    const MountAttributes attributes{read_only | no_setuid, 0, 0, 0};
    return ::syscall(mount_setattr, AT_FDCWD, "/", recursive, &attributes, sizeof attributes) == 0;
}

} // namespace

std::uint32_t enter_namespaces(std::uint32_t without) {
    constexpr std::array<std::pair<Layer, int>, 5> kinds{{{user_layer, CLONE_NEWUSER}, // first: it allows the others
                                                          {pid_layer, CLONE_NEWPID},
                                                          {mount_layer, CLONE_NEWNS},
                                                          {net_layer, CLONE_NEWNET},
                                                          {ipc_layer, CLONE_NEWIPC}}};
    int all = 0;
    std::uint32_t layers = 0;
    for (const auto& [layer, flag] : kinds)
        if ((without & layer) == 0) {
            all |= flag;
            layers |= layer;
        }
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (::unshare(all) != 0) {
        layers = 0;
        for (const auto& [layer, flag] : kinds)
            if ((without & layer) == 0 && ::unshare(flag) == 0) layers |= layer;
    }
    if ((layers & user_layer) != 0) name_user(user, group);
    return layers;
}

std::uint32_t close_mounts(std::uint32_t layers) {
    if ((layers & mount_layer) == 0) return layers;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) // or others would see what follows
        return layers & ~mount_layer;
    if ((layers & pid_layer) != 0) // refused in containers that hide parts of /proc, which then shows what it showed
        (void)::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
    show_few_devices();
    return make_mounts_read_only() ? layers : layers & ~mount_layer;
}

void drop_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, 2> none{};
    ::syscall(SYS_capset, &header, none.data());
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // and no program gives them back
}

} // namespace evictlab::isolation
