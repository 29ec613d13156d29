// What trespasses.cpp tries, one system call each, raw, so that no library is in between.
// SPDX-License-Identifier: MIT
#pragma once
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <csignal>

struct Attempt {
    const char* call; // as verdicts name it
    long number;
    long arguments[6];
};

constexpr long its_host = -1'000'001;  // stands for the number of the program's process
constexpr long folder = -1'000'002;    // for the name of one that everybody may write to
constexpr long memory = -1'000'003;    // for some zeroed memory of its own
constexpr long odd = 1L << 32;         // what the kernel does not read of an int, and a filter must not either
constexpr long own_descriptor = 1;     // shared with the program
constexpr long set_flags = 0x40086602; // FS_IOC_SETFLAGS

/// Each ends its process.
constexpr Attempt deadly[] = {
    {"fcntl", SYS_fcntl, {own_descriptor, F_SETOWN, its_host}},
    {"fcntl", SYS_fcntl, {own_descriptor, odd | F_SETOWN, its_host}},
    {"fcntl", SYS_fcntl, {own_descriptor, 15 /* F_SETOWN_EX */, memory}},
    {"fcntl", SYS_fcntl, {own_descriptor, 10 /* F_SETSIG */, SIGKILL}},
    {"fcntl", SYS_fcntl, {own_descriptor, F_SETFL, O_ASYNC}},
    {"fcntl", SYS_fcntl, {own_descriptor, F_SETFL, odd | O_ASYNC | O_NONBLOCK}},
    {"fcntl", SYS_fcntl, {own_descriptor, 1024 /* F_SETLEASE */, F_RDLCK}},
    {"fcntl", SYS_fcntl, {own_descriptor, 1026 /* F_NOTIFY */, 1}},
    {"fcntl", SYS_fcntl, {own_descriptor, F_SETLK, memory}},
    {"fcntl", SYS_fcntl, {own_descriptor, 1033 /* F_ADD_SEALS */, 1}},
    {"ioctl", SYS_ioctl, {0, TIOCSTI, memory}},
    {"ioctl", SYS_ioctl, {0, odd | TIOCSTI, memory}},
    {"ioctl", SYS_ioctl, {0, TCSETS, memory}},
    {"ioctl", SYS_ioctl, {0, TIOCSPGRP, memory}},
    {"ioctl", SYS_ioctl, {0, TIOCSCTTY, 1}},
    {"ioctl", SYS_ioctl, {own_descriptor, FIOASYNC, memory}},
    {"ioctl", SYS_ioctl, {own_descriptor, set_flags, memory}},
    {"prctl", SYS_prctl, {PR_SET_PDEATHSIG, 0}},
    {"prctl", SYS_prctl, {odd | PR_SET_PDEATHSIG, 0}},
    {"prctl", SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"prctl", SYS_prctl, {PR_SET_PTRACER, -1}},
    {"kill", SYS_kill, {its_host, SIGKILL}},
    {"kill", SYS_kill, {its_host, 0}},
    {"kill", SYS_kill, {odd | 1, SIGTERM}},
    {"kill", SYS_kill, {-1, 0}},
    {"kill", SYS_kill, {0, SIGKILL}},
    {"tgkill", SYS_tgkill, {its_host, its_host, SIGKILL}},
    {"tkill", SYS_tkill, {its_host, SIGKILL}},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {its_host, SIGKILL, memory}},
    {"pidfd_open", SYS_pidfd_open, {its_host, 0}},
    {"ptrace", SYS_ptrace, {16 /* PTRACE_ATTACH */, its_host}},
    {"process_vm_readv", SYS_process_vm_readv, {its_host, memory, 1, memory, 1}},
    {"prlimit64", SYS_prlimit64, {its_host, 0, memory, 0}},
    {"setsid", SYS_setsid, {}},
    {"setpgid", SYS_setpgid, {0, 0}},
    {"setuid", SYS_setuid, {0}},
    {"capset", SYS_capset, {memory, 0}},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}},
    {"setns", SYS_setns, {0, 0}},
    {"clone", SYS_clone, {SIGCHLD}},
    {"clone", SYS_clone, {odd | SIGCHLD}},
    {"clone", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {"execve", SYS_execve, {folder, 0, 0}},
#ifdef SYS_fork
    {"fork", SYS_fork, {}},
    {"vfork", SYS_vfork, {}},
#endif
    {"socket", SYS_socket, {AF_INET, SOCK_STREAM}},
    {"socket", SYS_socket, {odd | AF_INET, SOCK_STREAM}},
    {"socket", SYS_socket, {AF_NETLINK, SOCK_RAW}},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, memory}},
    {"shmget", SYS_shmget, {0, 4096, 0600}},
    {"shmat", SYS_shmat, {0, 0, 0}},
    {"shmctl", SYS_shmctl, {0, 0, 0}},
    {"semget", SYS_semget, {0, 1, 0600}},
    {"msgget", SYS_msgget, {0, 0600}},
    {"mq_open", SYS_mq_open, {folder, O_RDONLY}},
    {"mq_unlink", SYS_mq_unlink, {folder}},
    {"flock", SYS_flock, {own_descriptor, 2}},
    {"removexattr", SYS_removexattr, {folder, folder}},
    {"setxattr", SYS_setxattr, {folder, folder, memory, 1, 0}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, folder, 0}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, folder, AT_FDCWD, folder, 0}},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, folder, 0777}},
    {"fchownat", SYS_fchownat, {AT_FDCWD, folder, 0, 0, 0}},
    {"linkat", SYS_linkat, {AT_FDCWD, folder, AT_FDCWD, folder, 0}},
    {"symlinkat", SYS_symlinkat, {folder, AT_FDCWD, folder}},
    {"mknodat", SYS_mknodat, {AT_FDCWD, folder, 0, 0}},
    {"utimensat", SYS_utimensat, {AT_FDCWD, folder, 0, 0}},
    {"truncate", SYS_truncate, {folder, 0}},
    {"ftruncate", SYS_ftruncate, {own_descriptor, 0}},
    {"fallocate", SYS_fallocate, {own_descriptor, 3, 0, 4096}},
    {"mount", SYS_mount, {folder, folder, folder, 0, 0}},
    {"umount2", SYS_umount2, {folder, 0}},
    {"pivot_root", SYS_pivot_root, {folder, folder}},
    {"chroot", SYS_chroot, {folder}},
    {"acct", SYS_acct, {0}},
    {"adjtimex", SYS_adjtimex, {memory}},
    {"clock_adjtime", SYS_clock_adjtime, {0, memory}},
    {"settimeofday", SYS_settimeofday, {memory, 0}},
    {"sethostname", SYS_sethostname, {folder, 1}},
    {"setdomainname", SYS_setdomainname, {folder, 1}},
    {"fsopen", SYS_fsopen, {folder, 0}},
    {"fsconfig", SYS_fsconfig, {0, 0, 0, 0, 0}},
    {"move_mount", SYS_move_mount, {0, folder, 0, folder, 0}},
#ifdef SYS_mount_setattr
    {"mount_setattr", SYS_mount_setattr, {AT_FDCWD, folder, 0, memory, 32}},
#endif
    {"swapoff", SYS_swapoff, {folder}},
    {"syslog", SYS_syslog, {3, memory, 16}},
    {"init_module", SYS_init_module, {0, 0, 0}},
    {"bpf", SYS_bpf, {0, memory, 16}},
    {"perf_event_open", SYS_perf_event_open, {memory, 0, -1, -1, 0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"add_key", SYS_add_key, {folder, folder, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, 0, 0}},
    {"seccomp", SYS_seccomp, {0, 0, 0}},
    {"fanotify_init", SYS_fanotify_init, {0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, folder, memory, memory, 0}},
};

/// Each fails, and changes nothing: libraries try it.
constexpr Attempt vain[] = {
    {"openat", SYS_openat, {AT_FDCWD, folder, O_WRONLY}},
    {"openat", SYS_openat, {AT_FDCWD, folder, O_RDWR | O_TMPFILE, 0600}},
    {"openat", SYS_openat, {AT_FDCWD, folder, odd | O_RDWR | O_TMPFILE, 0600}},
    {"openat", SYS_openat, {AT_FDCWD, folder, O_PATH}},
    {"clone3", SYS_clone3, {memory, 64}},
    {"openat2", 437, {AT_FDCWD, folder, memory, 24}},
    {"memfd_create", SYS_memfd_create, {folder, 0}},
    {"io_uring_setup", 425, {1, memory}},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0}},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0}},
    {"madvise", SYS_madvise, {memory, 4096, 100 /* MADV_HWPOISON */}},
    {"sched_setaffinity", SYS_sched_setaffinity, {its_host, 8, memory}},
    {"sched_setaffinity", SYS_sched_setaffinity, {odd | 1, 8, memory}},
    {"sched_setscheduler", SYS_sched_setscheduler, {its_host, 0, memory}},
    {"setpriority", SYS_setpriority, {0, its_host, 19}},
    {"ioprio_set", SYS_ioprio_set, {1, its_host, 0}},
    {"prlimit64", SYS_prlimit64, {0, 7, memory, 0}},
    {"rt_sigaction", SYS_rt_sigaction, {SIGSYS, memory, 0, 8}},
    {"rt_sigaction", SYS_rt_sigaction, {odd | SIGSYS, memory, 0, 8}},
    {"ioctl", SYS_ioctl, {0, TCGETS, memory}},
    {"socket", SYS_socket, {AF_UNIX, SOCK_STREAM}},
    {"migrate_pages", SYS_migrate_pages, {its_host, 1, memory, memory}},
};
