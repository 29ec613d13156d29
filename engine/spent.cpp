// SPDX-License-Identifier: MIT
#include "engine/spent.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <ctime>

namespace evictlab::engine {
namespace {

double seconds(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double middle(std::vector<double> values) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, at);
    return *at;
}

} // namespace

Spent& Spent::operator+=(const Spent& other) {
    wall += other.wall;
    cpu += other.cpu;
    return *this;
}

Spent Stopwatch::now() { return {seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)}; }

Spent Stopwatch::spent() const {
    const Spent end = now();
    return {end.wall - began_.wall, end.cpu - began_.cpu};
}

Spent median(std::span<const Spent> all) {
    if (all.empty()) return {};
    std::vector<double> wall, cpu;
    for (const Spent& each : all) {
        wall.push_back(each.wall);
        cpu.push_back(each.cpu);
    }
    return {middle(std::move(wall)), middle(std::move(cpu))};
}

std::uint64_t peak_memory() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

} // namespace evictlab::engine
