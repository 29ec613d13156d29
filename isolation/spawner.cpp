// SPDX-License-Identifier: MIT
#include "isolation/spawner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/process/spawn_plan.hpp"
#include "framework/plugin/sealed_library.hpp"
#include "isolation/census.hpp"
#include "isolation/control.hpp"
#include "isolation/layers.hpp"

extern char** environ;

namespace evictlab::isolation {
namespace {

void give(SpawnPlan& plan, const WorkerMemory& memory) {
    plan.open_null(STDIN_FILENO, O_RDONLY);
    plan.give(memory.said.descriptor(), STDOUT_FILENO);
    plan.give(memory.said.descriptor(), STDERR_FILENO);
    plan.give(memory.control.descriptor(), control_descriptor);
    plan.give(memory.input.descriptor(), input_descriptor);
    plan.give(memory.output.descriptor(), output_descriptor);
    plan.give(memory.rows.descriptor(), rows_descriptor);
    plan.give(memory.watch.descriptor(), watch_descriptor);
    plan.in_own_session();
    // What it has no use for is none of this process's either.
    if (memory.library)
        plan.give(memory.library->descriptor(), library_descriptor);
    else
        plan.open_null(library_descriptor, O_RDONLY);
    if (memory.library && memory.library->folder() >= 0)
        plan.give(memory.library->folder(), folder_descriptor);
    else
        plan.open_null(folder_descriptor, O_RDONLY);
}

/// What libraries are found by, languages, time zones, numbers of threads, and sanitizers. The rest is the host's:
/// tokens, addresses, names.
std::vector<char*> environment_of_worker() {
    constexpr std::array kept{"LD_LIBRARY_PATH=",
                              "LD_PRELOAD=",
                              "LANG=",
                              "LC_",
                              "LANGUAGE=",
                              "TZ=",
                              "TZDIR=",
                              "OMP_",
                              "GOMP_",
                              "KMP_",
                              "MKL_",
                              "OPENBLAS_",
                              "BLIS_",
                              "TBB_",
                              "GOMAXPROCS=",
                              "RAYON_NUM_THREADS=",
                              "GLIBC_TUNABLES=",
                              "MALLOC_",
                              "ASAN_OPTIONS=",
                              "LSAN_OPTIONS=",
                              "UBSAN_OPTIONS=",
                              "TSAN_OPTIONS="};
    std::vector<char*> variables;
    for (char** variable = environ; variable && *variable; ++variable)
        if (std::ranges::any_of(kept, [&](const char* name) { return std::string_view(*variable).starts_with(name); }))
            variables.push_back(*variable);
    variables.push_back(nullptr);
    return variables;
}

bool has_landlock(std::uint32_t without) {
    constexpr long create_ruleset = 444;
    constexpr unsigned version_only = 1;
    return (without & landlock_layer) == 0 && ::syscall(create_ruleset, nullptr, 0, version_only) > 0;
}

/// Else workers could look into this process where they have no user namespace. The price: no core dumps, and
/// debuggers only as root.
void close_own_memory() { ::prctl(PR_SET_DUMPABLE, 0); }

} // namespace

Spawner::Spawner(const Settings& settings) : program_(settings.program), thread_([this] { run(); }) {
    if (!has_landlock(settings.limits.without)) close_own_memory();
    const int opened = ::open(program_.c_str(), O_PATH | O_CLOEXEC);
    if (opened >= 0) descriptor_ = ::fcntl(opened, F_DUPFD_CLOEXEC, lowest_of_host);
    if (descriptor_ < 0) open_error_ = errno;
    if (opened >= 0) ::close(opened);
}

Spawner::~Spawner() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (descriptor_ >= 0) ::close(descriptor_);
}

void Spawner::run() {
    thread_number_ = static_cast<pid_t>(::syscall(SYS_gettid));
    sigset_t all; // signals are the other threads'
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (std::unique_lock lock(mutex_);;) {
        changed_.wait(lock, [this] { return ends_ || work_; });
        if (ends_) return;
        lock.unlock(); // whoever waits for it may have to look after it
        work_();
        lock.lock();
        work_ = nullptr;
        changed_.notify_all();
    }
}

void Spawner::end_stopped_children() const {
    std::ifstream children(fmt::format("/proc/self/task/{}/children", thread_number_.load()));
    for (pid_t child = 0; children >> child;)
        if (const auto status = process_status(child); status && status->state == 'T') ::kill(child, SIGKILL);
}

pid_t Spawner::spawn(const WorkerMemory& memory) {
    SpawnPlan plan;
    give(plan, memory);
    const std::string file = fmt::format("/proc/self/fd/{}", descriptor_);
    std::vector<char*> environment = environment_of_worker();
    pid_t pid = -1;
    int error = open_error_;
    if (error == 0) {
        const std::lock_guard one(callers_);
        std::unique_lock lock(mutex_);
        work_ = [&] {
            error = plan.start(pid, file, {"evictlab-worker", std::to_string(::getpid())}, environment.data());
        };
        changed_.notify_all();
        // Until it runs its program the child has this thread wait for it, and whoever stops it then stops both.
        while (!changed_.wait_for(lock, std::chrono::seconds(1), [this] { return !work_; })) end_stopped_children();
    }
    if (error != 0)
        throw SpawnError(
            fmt::format("cannot start a process for a plugin: {}: {}", program_.string(), std::strerror(error)));
    return pid;
}

} // namespace evictlab::isolation
