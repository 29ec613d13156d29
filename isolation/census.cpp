// SPDX-License-Identifier: MIT
#include "isolation/census.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

namespace evictlab::isolation {
namespace {

/// How many processes the kernel has killed for want of memory, since the system was started.
long memory_kills() {
    std::ifstream file("/proc/vmstat");
    std::string name;
    for (long value = 0; file >> name >> value;)
        if (name == "oom_kill") return value;
    return 0;
}

} // namespace

std::optional<ProcessStatus> process_status(pid_t pid) {
    const int file = ::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    std::array<char, 1024> text{};
    const ssize_t count = ::read(file, text.data(), text.size());
    ::close(file);
    const std::string line(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    const auto name_end = line.rfind(')'); // a name may have spaces and parentheses
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(line.substr(name_end + 1));
    ProcessStatus status;
    fields >> status.state;
    std::string skipped;
    for (int field = 4; field < 20; ++field) fields >> skipped; // proc(5): num_threads is the 20th
    fields >> status.threads;
    return fields ? std::optional(status) : std::nullopt;
}

Census::Census() : memory_kills_(memory_kills()) {}

std::shared_ptr<Census::Entry> Census::add(pid_t pid) {
    auto entry = std::make_shared<Entry>();
    entry->pid = pid;
    const std::lock_guard lock(mutex_);
    entries_.push_back(entry);
    return entry;
}

void Census::remove(const std::shared_ptr<Entry>& entry) {
    const std::lock_guard lock(mutex_);
    entries_.remove(entry);
}

bool Census::end_hogs(bool scarce) {
    static const unsigned share = std::clamp(2 * std::thread::hardware_concurrency(), 16U, most_threads);
    const unsigned most = scarce ? share : most_threads;
    bool found = false;
    const std::lock_guard lock(mutex_);
    for (const auto& entry : entries_) {
        const auto status = process_status(entry->pid);
        if (!status || status->threads <= most) continue;
        found = true;
        entry->was_hog = true;
        ::kill(entry->pid, SIGKILL);
    }
    return found;
}

bool Census::memory_ran_out() {
    const long now = memory_kills();
    const std::lock_guard lock(mutex_);
    return now > std::exchange(memory_kills_, now);
}

} // namespace evictlab::isolation
