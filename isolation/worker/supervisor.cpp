// SPDX-License-Identifier: MIT
#include "isolation/worker/supervisor.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>

#include "isolation/layers.hpp"
#include "isolation/worker/namespaces.hpp"
#include "isolation/worker/system_call_filter.hpp"

namespace evictlab::isolation {
namespace {

constexpr int no_host = 3, no_process = 4; // exit codes of a worker that nobody waits for, or that cannot begin

sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    return signals;
}

/// Open in the supervisor alone at one end, so that the other end tells when that has ended.
struct Lifeline {
    std::array<int, 2> ends{-1, -1};
    Lifeline() {
        if (::pipe(ends.data()) != 0) ::_exit(no_process);
    }
    void hold() { ::close(ends[0]); }
    void let_go() {
        for (const int end : ends) ::close(end);
    }
    [[noreturn]] void wait_for_its_end() {
        ::close(ends[1]);
        char nothing = 0;
        while (::read(ends[0], &nothing, 1) < 0 && errno == EINTR) {
        }
        ::_exit(0);
    }
};

pid_t forked() {
    const pid_t pid = ::fork();
    if (pid < 0) ::_exit(no_process);
    return pid;
}

void end(std::initializer_list<pid_t> processes) {
    for (const pid_t pid : processes)
        if (pid > 0) ::kill(pid, SIGKILL);
    for (const pid_t pid : processes)
        while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
}

/// How the process ended, or what it was told from outside: then everything ends at once.
int wait_for(pid_t plugin, pid_t& keeper) {
    const sigset_t signals = watched_signals();
    for (int status = 0;;) {
        if (::waitpid(plugin, &status, WNOHANG) == plugin) return status;
        if (::sigwaitinfo(&signals, nullptr) != SIGTERM) continue;
        end({plugin, keeper});
        keeper = 0;
        return SIGTERM; // as the status of a process that ended by it
    }
}

void tell_forbidden_call(const Control& control, Watch& watch, int status) {
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) return;
    const std::string name = name_of_system_call(static_cast<int>(control.system_call));
    std::memcpy(watch.forbidden_call, name.c_str(), std::min(name.size() + 1, sizeof watch.forbidden_call - 1));
}

/// So that the host sees of its child what became of the plugin.
[[noreturn]] void end_likewise(int status) {
    if (WIFEXITED(status)) ::_exit(WEXITSTATUS(status));
    const int signal = WTERMSIG(status);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    (void)std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::raise(signal);
    ::_exit(128 + signal);
}

} // namespace

std::uint32_t supervise(pid_t host, const Control& control, Watch& watch) {
    const sigset_t signals = watched_signals();
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != host) ::_exit(no_host); // it has ended already
    const pid_t supervisor = ::getpid();
    const std::uint32_t layers = enter_namespaces(control.limits.without);
    ::prctl(PR_SET_DUMPABLE, 0); // other workers of the user do not look in here
    Lifeline lifeline;
    pid_t keeper = (layers & pid_layer) != 0 ? forked() : 0;
    if ((layers & pid_layer) != 0 && keeper == 0) lifeline.wait_for_its_end();
    const pid_t plugin = forked();
    if (plugin == 0) {
        lifeline.let_go();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if ((layers & pid_layer) == 0 && ::getppid() != supervisor) ::_exit(no_host);
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        const std::uint32_t held = close_mounts(layers);
        drop_capabilities();
        return held;
    }
    lifeline.hold();
    watch.plugin = plugin;
    const int status = wait_for(plugin, keeper);
    tell_forbidden_call(control, watch, status);
    end({keeper});
    end_likewise(status);
}

} // namespace evictlab::isolation
