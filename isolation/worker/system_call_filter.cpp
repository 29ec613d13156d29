// SPDX-License-Identifier: MIT
#include "isolation/worker/system_call_filter.hpp"

#include <fmt/format.h>

#ifdef EVICTLAB_SECCOMP
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "isolation/worker/confinement.hpp"
#include "isolation/worker/system_call_rules.hpp"
#endif

namespace evictlab::isolation {

#ifndef EVICTLAB_SECCOMP

bool filter_system_calls() { return false; }
std::string name_of_system_call(int number) { return fmt::format("system call {}", number); }

#else

namespace {

/// Whatever their arguments, they reach nothing but the process itself, or what any process may know.
constexpr const char* harmless[] = {
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek",
    "_llseek", "close", "close_range", "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd", "eventfd2", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6",
    // what files there are, and of what kind; reading them takes an open()
    "fstat", "newfstatat", "fstatat64", "stat", "lstat", "statx", "statfs", "fstatfs", "access", "faccessat",
    "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "fadvise64",
    // memory
    "brk", "munmap", "mremap", "mprotect", "mincore", "msync", "membarrier", "get_mempolicy",
    // threads, time, signals to itself
    "futex", "set_robust_list", "set_tid_address", "rseq", "sched_yield", "sched_getaffinity", "sched_getscheduler",
    "sched_getparam", "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "getcpu",
    "arch_prctl", "exit", "exit_group", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "sigaltstack", "restart_syscall", "pause", "nanosleep", "clock_nanosleep", "clock_gettime",
    "clock_getres", "gettimeofday", "time", "times", "getitimer", "setitimer", "alarm", "timer_create", "timer_settime",
    "timer_gettime", "timer_getoverrun", "timer_delete", "timerfd_create", "timerfd_settime", "timerfd_gettime",
    "wait4", "waitid",
    // who it is and where
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups",
    "getpgrp", "getpgid", "getsid", "capget", "uname", "sysinfo", "getrusage", "getrlimit", "getrandom"};

struct Tried {
    int error;
    const char* name;
};

/// What libraries try and go on without: their answer is that of a kernel that lacks it, or of a user who may not.
constexpr Tried tried[] = {
    {ENOSYS, "clone3"},  // whose arguments lie in memory, where a filter cannot look; libraries fall back to clone
    {ENOSYS, "openat2"}, // likewise, to openat
    {ENOSYS, "io_uring_setup"}, {ENOSYS, "memfd_secret"},
    {ENOSYS, "pkey_alloc"},     {ENOSYS, "pkey_free"},
    {ENOSYS, "pkey_mprotect"},  {ENOSYS, "remap_file_pages"},
    {ENOSYS, "futex_waitv"},    {ENOSYS, "inotify_init"},
    {ENOSYS, "inotify_init1"},  {EPERM, "memfd_create"},
    {EPERM, "setrlimit"},       {EPERM, "setpriority"},
    {EPERM, "sched_setparam"},  {EPERM, "sched_setscheduler"},
    {EPERM, "sched_setattr"},   {EPERM, "ioprio_set"},
    {EPERM, "mbind"},           {EPERM, "set_mempolicy"},
    {EPERM, "move_pages"},      {EPERM, "migrate_pages"},
    {EPERM, "mlock"},           {EPERM, "mlock2"},
    {EPERM, "mlockall"},        {EPERM, "munlock"},
    {EPERM, "munlockall"},      {ENOTSUP, "getxattr"},
    {ENOTSUP, "lgetxattr"},     {ENOTSUP, "fgetxattr"},
    {EACCES, "mkdir"},          {EACCES, "mkdirat"}};

/// Numbers of calls that are younger than the library: libraries try them, and fall back on a kernel without.
void refuse_newer(SystemCallRules& rules) {
    constexpr int first = 424, last = 480; // alike on all kinds of machines
    for (int number = first; number <= last; ++number)
        if (char* const name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number))
            std::free(name); // NOLINT(cppcoreguidelines-no-malloc): the library's
        else
            rules.fail(ENOSYS, number);
}

void allow_memory(SystemCallRules& rules) {
    // Of its own, or a file's that it may read. Anonymous shared memory counts to no limit that a process has.
    constexpr int kind = MAP_TYPE, counts_not = MAP_GROWSDOWN | MAP_HUGETLB;
    rules.allow("mmap", {has(3, kind | counts_not, MAP_PRIVATE)});
    rules.allow("mmap", {has(3, kind | counts_not | MAP_ANONYMOUS, MAP_SHARED)});
    rules.fail(ENOMEM, "mmap", {has(3, kind | counts_not | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS)});
    rules.fail(ENOMEM, "mmap", {has(3, MAP_HUGETLB, MAP_HUGETLB)});
    rules.fail(ENOMEM, "mmap", {has(3, counts_not, MAP_GROWSDOWN)});
    rules.allow("madvise", {has_only(2, 31)});
    for (const std::uint32_t advice : {100U, 101U, 102U, 103U}) // pages out of use, which is the machine's; and guards
        rules.fail(EINVAL, "madvise", {is(2, advice)});
}

void allow_files(SystemCallRules& rules) {
#if defined(__aarch64__)
    constexpr int large_file = 0400000; // O_LARGEFILE, which is 0 to programs of 64 bits, but not to every C library
#else
    constexpr int large_file = 0100000;
#endif
    constexpr int reading = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECTORY | O_NOFOLLOW | O_EXCL | O_APPEND |
                            O_DIRECT | O_SYNC | O_NOATIME | large_file;
    constexpr int without_folder = O_TMPFILE & ~O_DIRECTORY;
    rules.allow("open", {has_only(1, reading)});
    rules.allow("openat", {has_only(2, reading)});
    for (const std::uint64_t flag : {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_PATH, without_folder}) {
        rules.fail(EACCES, "open", {has(1, flag, flag)});
        rules.fail(EACCES, "openat", {has(2, flag, flag)});
    }
    for (const unsigned command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL})
        rules.allow("fcntl", {is(1, command)});
    rules.allow("fcntl", {is(1, F_SETFL), has_only(2, O_NONBLOCK | O_ACCMODE | O_APPEND)});
    for (const unsigned long request : {FIOCLEX, FIONCLEX, FIONBIO})
        rules.allow("ioctl", {is(1, static_cast<std::uint32_t>(request))});
    // Whether it is a terminal, how wide, how much can be read: nothing is one.
    for (const unsigned long request : {TCGETS, TIOCGWINSZ, TIOCGPGRP, FIONREAD})
        rules.fail(ENOTTY, "ioctl", {is(1, static_cast<std::uint32_t>(request))});
}

/// The supervisor, being outside of it, has no number there.
bool in_own_pid_namespace() { return ::getppid() == 0; }

void allow_threads(SystemCallRules& rules) {
    constexpr std::uint64_t of_others = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                        CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_PARENT | CLONE_VFORK |
                                        CLONE_PIDFD;
    constexpr std::uint64_t of_threads = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    rules.allow("clone", {has(0, of_others | of_threads, of_threads)});
    if (in_own_pid_namespace()) { // where there are no threads but its own
        rules.allow("sched_setaffinity");
        return;
    }
    rules.allow("sched_setaffinity", {is_null(0)}); // of the calling thread
    rules.fail(EPERM, "sched_setaffinity", {is_not_null(0)});
    for (const char* const places : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"})
        ::unsetenv(places); // NOLINT(concurrency-mt-unsafe): one thread yet; OpenMP ends a process that cannot bind
}

/// abort() signals its own process; nobody else's is to be reached.
void allow_signals(SystemCallRules& rules) {
    const auto self = static_cast<std::uint32_t>(::getpid());
    for (const char* const name : {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"})
        rules.allow(name, {is(0, self)});
    // All handlers but that of SIGSYS, which tells of what is refused here.
    constexpr std::uint32_t untellable = SIGSYS;
    static_assert(SIGSYS == 31);
    for (const std::uint32_t bit : {1U, 2U, 4U, 8U, 16U}) rules.allow("rt_sigaction", {has(0, bit, 0)});
    rules.allow("rt_sigaction", {has(0, 32, 32)});
    rules.allow("rt_sigaction", {is(0, untellable), is_null(1)});
    rules.fail(EINVAL, "rt_sigaction", {is(0, untellable), is_not_null(1)});
}

void allow_own_state(SystemCallRules& rules) {
    constexpr unsigned set_name_of_memory = 0x53564d41; // PR_SET_VMA
    constexpr unsigned get_vector_length = 51, get_tagged_addresses = 56;
    for (const unsigned option :
         {unsigned{PR_SET_NAME}, unsigned{PR_GET_NAME}, set_name_of_memory, unsigned{PR_CAPBSET_READ},
          unsigned{PR_GET_DUMPABLE}, unsigned{PR_SET_THP_DISABLE}, unsigned{PR_GET_THP_DISABLE},
          unsigned{PR_GET_NO_NEW_PRIVS}, unsigned{PR_GET_SECCOMP}, get_vector_length, get_tagged_addresses})
        rules.allow("prctl", {is(0, option)});
    rules.allow("prlimit64", {is(0, 0), is_null(2)});
    rules.fail(EPERM, "prlimit64", {is(0, 0), is_not_null(2)}); // runtimes raise their number of files
    rules.allow("personality", {is(0, 0xffff'ffff)});           // what it is
    rules.fail(EACCES, "socket", {is(0, AF_UNIX)});             // the C library asks local services for names
}

} // namespace

bool filter_system_calls() {
    // Sanitizers do much of their own, and go on when it fails.
    SystemCallRules rules(has_sanitizer() ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_TRAP);
    for (const char* const name : harmless) rules.allow(name);
    for (const auto& [error, name] : tried) rules.fail(error, name);
    refuse_newer(rules);
    allow_memory(rules);
    allow_files(rules);
    allow_threads(rules);
    allow_signals(rules);
    allow_own_state(rules);
    return rules.load();
}

std::string name_of_system_call(int number) {
    char* const known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    std::string name = known ? known : fmt::format("system call {}", number);
    std::free(known); // NOLINT(cppcoreguidelines-no-malloc): the library's
    return name;
}

#endif

} // namespace evictlab::isolation
