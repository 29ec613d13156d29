// SPDX-License-Identifier: MIT
#include "isolation/worker/crash_notes.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <new>

namespace evictlab::isolation {
namespace {

constexpr std::size_t handler_stack = std::size_t{64} << 10;
constexpr std::uintptr_t near_null = 64 << 10, near_stack = 64 << 10;
constexpr int of_the_filter = 1; // SYS_SECCOMP, which not all headers have

struct Watched {
    Control* control = nullptr;
    const Mapped* mapped = nullptr;
    MemoryInUse full;
};
Watched watched; // a signal handler has no other way to it

std::uintptr_t stack_pointer(const void* context) {
    [[maybe_unused]] const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return static_cast<std::uintptr_t>(machine.gregs[REG_RSP]);
#elif defined(__aarch64__)
    return machine.sp;
#else
    return 0;
#endif
}

bool memory_is_gone() {
    if (watched.full.all == 0) return false;
    const MemoryInUse now = memory_in_use();
    return now.all > watched.full.all || now.own > watched.full.own;
}

Crash reason(int signal, const siginfo_t& info, const void* context) {
    const bool fault = (signal == SIGSEGV || signal == SIGBUS) && info.si_code > 0;
    const auto address = reinterpret_cast<std::uintptr_t>(info.si_addr);
    const Mapped& mapped = *watched.mapped;
    if (fault && (mapped.scores.guards_end(info.si_addr) || mapped.output.guards_end(info.si_addr)))
        return Crash::behind_scores;
    if (fault && (mapped.scores.guards_begin(info.si_addr) || mapped.output.guards_begin(info.si_addr)))
        return Crash::before_scores;
    if (fault && signal == SIGSEGV && (mapped.input.holds(info.si_addr) || mapped.rows.holds(info.si_addr)))
        return Crash::into_input;
    if (fault && mapped.is_past_columns(info.si_addr)) return Crash::past_columns;
    if (fault && mapped.output.holds(info.si_addr)) return Crash::behind_scores; // past what there is of it
    if (fault && mapped.is_undeclared(info.si_addr)) return Crash::undeclared_column;
    if (memory_is_gone()) return Crash::out_of_memory;
    const std::uintptr_t top = stack_pointer(context);
    if (fault && address + near_stack > top && address < top + near_stack) return Crash::stack_overflow;
    if (fault && address < near_null) return Crash::null_pointer;
    return Crash::none;
}

void on_crash(int signal, siginfo_t* info, void* context) {
    if (signal == SIGSYS && info->si_code == of_the_filter) {
        watched.control->system_call = static_cast<std::uint32_t>(info->si_syscall);
        watched.control->crash.store(Crash::forbidden_call, std::memory_order_relaxed);
        (void)::raise(signal);
        return;
    }
    std::atomic<Crash>& crash = watched.control->crash; // out_of_memory: operator new said so, and was not caught
    if (crash.load(std::memory_order_relaxed) != Crash::out_of_memory)
        crash.store(reason(signal, *info, context), std::memory_order_relaxed);
    (void)::raise(signal); // takes effect when this returns, the handler being gone
}

void on_no_memory() {
    watched.control->crash.store(Crash::out_of_memory, std::memory_order_relaxed);
    throw std::bad_alloc();
}

} // namespace

void note_crashes(Control& control, const Mapped& mapped, const MemoryInUse& full) {
    watched = {&control, &mapped, full};
    std::set_new_handler(on_no_memory);
    stack_t stack{};
    stack.ss_sp = ::mmap(nullptr, handler_stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack.ss_size = handler_stack;
    if (stack.ss_sp == MAP_FAILED || ::sigaltstack(&stack, nullptr) != 0) return; // dies without a note then
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
    sigfillset(&action.sa_mask);
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS}) ::sigaction(signal, &action, nullptr);
}

} // namespace evictlab::isolation
