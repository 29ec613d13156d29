// How a process that is started begins: in a group of its own, with no signal blocked or ignored. Who starts it adds
// what its descriptors are, and whether it has a session of its own, too. For one thread. SPDX-License-Identifier: MIT
#pragma once
#include <spawn.h>

#include <csignal>
#include <string>
#include <vector>

namespace evictlab {

/// For posix_spawn.
struct SpawnPlan {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    SpawnPlan() {
        posix_spawn_file_actions_init(&actions);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    /// And so no terminal, nor any way to one by /dev/tty.
    void in_own_session() {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    void open_null(int as, int flags) { posix_spawn_file_actions_addopen(&actions, as, "/dev/null", flags, 0); }
    /// The error number where the system cannot start the program, which is looked for along PATH unless it has a '/'.
    int start(pid_t& pid, const std::string& program, std::vector<std::string> arguments,
              char* const* environment) const {
        std::vector<char*> words;
        for (std::string& each : arguments) words.push_back(each.data());
        words.push_back(nullptr);
        return ::posix_spawnp(&pid, program.c_str(), &actions, &attributes, words.data(), environment);
    }
    /// The child's descriptor `as` is this process's `descriptor`.
    void give(int descriptor, int as) { posix_spawn_file_actions_adddup2(&actions, descriptor, as); }
};

} // namespace evictlab
