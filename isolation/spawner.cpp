// SPDX-License-Identifier: MIT
#include "isolation/spawner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include "framework/error.hpp"
#include "framework/spawn_plan.hpp"
#include "isolation/control.hpp"

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
}

} // namespace

Spawner::Spawner(const std::filesystem::path& program) : program_(program), thread_([this] { run(); }) {
    const int opened = ::open(program.c_str(), O_PATH | O_CLOEXEC);
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
    sigset_t all; // signals are the other threads'
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (std::unique_lock lock(mutex_);;) {
        changed_.wait(lock, [this] { return ends_ || work_; });
        if (ends_) return;
        work_();
        work_ = nullptr;
        changed_.notify_all();
    }
}

pid_t Spawner::spawn(const WorkerMemory& memory) {
    SpawnPlan plan;
    give(plan, memory);
    const std::string file = fmt::format("/proc/self/fd/{}", descriptor_);
    std::string name = "evictlab-worker", host = std::to_string(::getpid());
    const std::array<char*, 3> arguments{name.data(), host.data(), nullptr};
    pid_t pid = -1;
    int error = open_error_;
    if (error == 0) {
        const std::lock_guard one(callers_);
        std::unique_lock lock(mutex_);
        work_ = [&] {
            error = ::posix_spawn(&pid, file.c_str(), &plan.actions, &plan.attributes, arguments.data(), environ);
        };
        changed_.notify_all();
        changed_.wait(lock, [this] { return !work_; });
    }
    if (error != 0)
        throw Error(
            fmt::format("cannot start a process for a plugin: {}: {}", program_.string(), std::strerror(error)));
    return pid;
}

} // namespace evictlab::isolation
