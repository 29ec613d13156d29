// SPDX-License-Identifier: MIT
#include "cli/interrupt.hpp"

#include <csignal>
#include <unistd.h>

#include "cli/command.hpp"

namespace evictlab::cli {
namespace {

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void on_signal(int) {
    if (stop.exchange(true)) _exit(exit_interrupted);
}

} // namespace

void install_interrupt_handler() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

const std::atomic<bool>& interrupted() { return stop; }

} // namespace evictlab::cli
