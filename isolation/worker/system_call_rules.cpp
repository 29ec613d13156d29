// SPDX-License-Identifier: MIT
#ifdef EVICTLAB_SECCOMP
#include "isolation/worker/system_call_rules.hpp"

#include <vector>

namespace evictlab::isolation {

SystemCallRules::SystemCallRules(std::uint32_t otherwise)
    : context_(seccomp_init(otherwise), seccomp_release), otherwise_(otherwise) {
    if (!context_) return;
    // Other ways into the kernel, for programs of 32 bits, have numbers of their own.
    whole_ = seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0;
    (void)seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1); // where a sanitizer has begun threads
#if SCMP_VER_MAJOR > 2 || SCMP_VER_MINOR >= 5
    (void)seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); // by a tree, not a list
#endif
}

void SystemCallRules::add(std::uint32_t action, int number, std::span<const Argument> arguments) {
    if (number < 0 || !context_ || action == otherwise_) return; // not on this kind of machine
    std::vector<scmp_arg_cmp> comparisons;
    for (const Argument& argument : arguments)
        comparisons.push_back(argument.differs
                                  ? scmp_arg_cmp{argument.index, SCMP_CMP_NE, argument.value, 0}
                                  : scmp_arg_cmp{argument.index, SCMP_CMP_MASKED_EQ, argument.bits, argument.value});
    whole_ = seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(comparisons.size()),
                                    comparisons.data()) == 0 &&
             whole_;
}

void SystemCallRules::allow(const char* name, std::initializer_list<Argument> arguments) {
    add(SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), arguments);
}

void SystemCallRules::fail(int error, const char* name, std::initializer_list<Argument> arguments) {
    add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), seccomp_syscall_resolve_name(name), arguments);
}

void SystemCallRules::fail(int error, int number) { add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), number, {}); }

bool SystemCallRules::load() { return context_ && whole_ && seccomp_load(context_.get()) == 0; }

} // namespace evictlab::isolation
#endif
