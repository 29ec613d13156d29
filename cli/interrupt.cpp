// SPDX-License-Identifier: MIT
#include "cli/interrupt.hpp"

#include <csignal>
#include <string_view>
#include <sys/time.h>
#include <unistd.h>

#include "base/input/stop.hpp"
#include "cli/command.hpp"

namespace evictlab::cli {
namespace {

constexpr long grace_us = 500'000;

void end_at_once() {
    constexpr std::string_view message = "evictlab: stopped\n";
    (void)!::write(STDERR_FILENO, message.data(), message.size());
    _exit(exit_interrupted);
}

void look_again_soon() {
    const itimerval soon{{0, 0}, {0, grace_us}};
    ::setitimer(ITIMER_REAL, &soon, nullptr);
}

void on_stop(int) {
    if (input::stop_requested().exchange(true)) _exit(exit_interrupted);
    look_again_soon();
}

void on_grace_over(int) {
    if (!input::HoldStop::any()) end_at_once();
    look_again_soon();
}

void handle(int signal, void (*action)(int)) {
    struct sigaction handler {};
    handler.sa_handler = action;
    sigemptyset(&handler.sa_mask);
    handler.sa_flags = SA_RESTART;
    sigaction(signal, &handler, nullptr);
}

} // namespace

void install_signal_handlers() {
    handle(SIGINT, on_stop);
    handle(SIGTERM, on_stop);
    handle(SIGALRM, on_grace_over);
    handle(SIGXFSZ, SIG_IGN); // a write then fails with EFBIG
}

const std::atomic<bool>& interrupted() { return input::stop_requested(); }

} // namespace evictlab::cli
