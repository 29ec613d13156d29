// SPDX-License-Identifier: MIT
#include "worker/confinement.hpp"

#include <sys/resource.h>

#include "worker/crash_notes.hpp"

#ifdef EVICTLAB_SECCOMP
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#endif

namespace evictlab::isolation {
namespace {

void limit(int resource, rlim_t most) {
    rlimit now{};
    if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &now) != 0) return;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    const rlimit lowered{most, most};
    ::setrlimit(static_cast<__rlimit_resource_t>(resource), &lowered);
}

constexpr bool has_sanitizer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

} // namespace

std::size_t limit_resources(const Limits& limits) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, limits.open_files);
    limit(RLIMIT_FSIZE, limits.said);
    limit(RLIMIT_MSGQUEUE, 0);
    if (has_sanitizer()) return 0;
    const std::size_t begun = address_space_in_use(), allowed = limits.memory << 20;
    limit(RLIMIT_AS, begun + allowed);
    return begun + allowed - allowed / 8;
}

#ifndef EVICTLAB_SECCOMP

bool filter_system_calls() { return false; }

#else

namespace {

/// Names that this kernel or library does not know are no loss: they cannot be called either.
class Filter {
public:
    Filter() : context_(seccomp_init(SCMP_ACT_ALLOW), seccomp_release) {}

    template <class... Conditions>
    void refuse(int error, const char* name, Conditions... conditions) {
        const int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR || !context_) return;
        const int failed = seccomp_rule_add(context_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(error)), number,
                                            sizeof...(conditions), conditions...);
        whole_ = whole_ && failed == 0;
    }
    bool load() { return context_ && whole_ && seccomp_load(context_.get()) == 0; }

private:
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
    bool whole_ = true;
};

constexpr const char* networks[] = {"socket",   "connect",        "bind",           "listen",
                                    "accept",   "accept4",        "sendto",         "sendmsg",
                                    "sendmmsg", "io_uring_setup", "io_uring_enter", "io_uring_register"};
constexpr const char* processes[] = {"fork", "vfork", "execve", "execveat", "setsid", "setpgid", "unshare", "setns"};
constexpr const char* others[] = {"ptrace",
                                  "process_vm_readv",
                                  "process_vm_writev",
                                  "pidfd_open",
                                  "pidfd_getfd",
                                  "pidfd_send_signal",
                                  "process_madvise",
                                  "perf_event_open",
                                  "bpf",
                                  "userfaultfd",
                                  "tkill",
                                  "rt_sigqueueinfo",
                                  "rt_tgsigqueueinfo",
                                  "keyctl",
                                  "add_key",
                                  "request_key",
                                  "shmget",
                                  "semget",
                                  "msgget",
                                  "mq_open",
                                  "setpriority",
                                  "sched_setscheduler",
                                  "sched_setattr",
                                  "setrlimit",
                                  "reboot",
                                  "kexec_load",
                                  "init_module",
                                  "finit_module",
                                  "settimeofday",
                                  "clock_settime",
                                  "sethostname"};
constexpr const char* folders[] = {"creat",
                                   "truncate",
                                   "ftruncate",
                                   "fallocate",
                                   "unlink",
                                   "unlinkat",
                                   "rename",
                                   "renameat",
                                   "renameat2",
                                   "mkdir",
                                   "mkdirat",
                                   "rmdir",
                                   "link",
                                   "linkat",
                                   "symlink",
                                   "symlinkat",
                                   "mknod",
                                   "mknodat",
                                   "chmod",
                                   "fchmod",
                                   "fchmodat",
                                   "fchmodat2",
                                   "chown",
                                   "fchown",
                                   "lchown",
                                   "fchownat",
                                   "setxattr",
                                   "lsetxattr",
                                   "fsetxattr",
                                   "utime",
                                   "utimes",
                                   "utimensat",
                                   "futimesat",
                                   "mount",
                                   "umount2",
                                   "move_mount",
                                   "open_tree",
                                   "fsopen",
                                   "pivot_root",
                                   "chroot",
                                   "swapon",
                                   "swapoff",
                                   "quotactl",
                                   "open_by_handle_at",
                                   "name_to_handle_at"};

/// A comparison of an argument of the system call. The library's own macros for it are C.
scmp_arg_cmp argument(unsigned index, scmp_compare how, scmp_datum_t value, scmp_datum_t masked = 0) {
    return {index, how, value, masked};
}

void refuse_writing(Filter& filter) {
    for (const char* name : folders) filter.refuse(EPERM, name);
    filter.refuse(ENOSYS, "openat2"); // its flags lie in memory, where a filter cannot look; callers know older calls
    for (const scmp_datum_t flag : {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC}) {
        filter.refuse(EACCES, "open", argument(1, SCMP_CMP_MASKED_EQ, flag, flag));
        filter.refuse(EACCES, "openat", argument(2, SCMP_CMP_MASKED_EQ, flag, flag));
    }
}

void refuse_processes(Filter& filter) {
    for (const char* name : processes) filter.refuse(EPERM, name);
    filter.refuse(ENOSYS, "clone3"); // likewise; the C library falls back to clone
    filter.refuse(EPERM, "clone", argument(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

/// abort() signals its own process; nobody else's is to be reached.
void refuse_others(Filter& filter) {
    for (const char* name : others) filter.refuse(EPERM, name);
    const auto self = static_cast<scmp_datum_t>(::getpid());
    filter.refuse(EPERM, "kill", argument(0, SCMP_CMP_NE, self));
    filter.refuse(EPERM, "tgkill", argument(0, SCMP_CMP_NE, self));
    filter.refuse(EPERM, "prlimit64", argument(2, SCMP_CMP_NE, 0));
    filter.refuse(EPERM, "prctl", argument(0, SCMP_CMP_EQ, PR_SET_PDEATHSIG));
}

} // namespace

bool filter_system_calls() {
    Filter filter;
    for (const char* name : networks) filter.refuse(EPERM, name);
    refuse_processes(filter);
    refuse_others(filter);
    refuse_writing(filter);
    return filter.load();
}

#endif

} // namespace evictlab::isolation
