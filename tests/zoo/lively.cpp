// Does what ordinary libraries and runtimes do, for its own ends alone: threads, timers, signals, random numbers, a
// look at the machine, what it may not have and goes on without. SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <evictlab/scorer.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <locale>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Lively {
    static constexpr evictlab::Info info{
        .id = "lively", .name = "Lively", .description = "does much, and nothing wrong"};
    static constexpr evictlab::Columns columns{"cumulative_attn"};

    static void must(bool did, const char* what) {
        if (!did) throw std::runtime_error(what);
    }

    /// As OpenMP does, which ends the process where it may not.
    static void bind_thread() {
        cpu_set_t processors;
        must(::sched_getaffinity(0, sizeof processors, &processors) == 0, "sched_getaffinity");
        if (!std::getenv("OMP_PLACES")) return;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setaffinity_np(&attributes, sizeof processors, &processors);
        pthread_t thread{};
        must(::pthread_create(
                 &thread, &attributes, [](void* nothing) { return nothing; }, nullptr) == 0,
             "a bound thread");
        pthread_join(thread, nullptr);
        pthread_attr_destroy(&attributes);
    }

    static void run_threads() {
        std::vector<std::thread> threads;
        std::atomic<int> count = 0;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                pthread_setname_np(pthread_self(), "lively");
                std::this_thread::sleep_for(std::chrono::microseconds(100));
                ++count;
            });
        for (std::thread& thread : threads) thread.join();
        must(count == 4 && std::async(std::launch::async, [] { return 7; }).get() == 7, "threads");
    }

    static void look_around() {
        std::string line;
        must(static_cast<bool>(std::getline(std::ifstream("/proc/self/maps"), line)), "/proc/self/maps");
        must(::open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0, "/dev/urandom");
        must(::dlopen("libm.so.6", RTLD_NOW) != nullptr, "libm.so.6");
        must(std::thread::hardware_concurrency() > 0, "processors");
        const std::time_t now = std::time(nullptr);
        must(std::localtime(&now) != nullptr, "time");
        (void)std::filesystem::exists("/etc/passwd");
        (void)::isatty(1);
        (void)::getpwuid(::getuid());
    }

    static void try_more() {
        cpu_set_t processors;
        must(::sched_getaffinity(0, sizeof processors, &processors) == 0, "sched_getaffinity");
        must(::sched_setaffinity(0, sizeof processors, &processors) == 0, "sched_setaffinity");
        (void)::pthread_setaffinity_np(::pthread_self(), sizeof processors,
                                       &processors); // another's, for all one knows
        (void)::setpriority(PRIO_PROCESS, 0, 5);
        rlimit files{};
        must(::getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
        (void)::setrlimit(RLIMIT_NOFILE, &files);
        (void)::mlock(&files, sizeof files);
        (void)std::tmpfile();
        (void)::memfd_create("lively", 0);
        (void)std::fopen("lively.log", "w");
    }

    static void use_signals() {
        static volatile std::sig_atomic_t seen = 0;
        const auto before = std::signal(SIGALRM, [](int) { seen = 1; });
        const itimerval soon{{0, 0}, {0, 1000}};
        must(::setitimer(ITIMER_REAL, &soon, nullptr) == 0, "setitimer");
        while (!seen) ::usleep(100);
        must(::kill(::getpid(), 0) == 0 && std::raise(SIGALRM) == 0, "kill");
        (void)std::signal(SIGALRM, before);
    }

    static void use_memory() {
        void* const pages = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(pages != MAP_FAILED && ::madvise(pages, 1 << 20, MADV_DONTNEED) == 0 && ::munmap(pages, 1 << 20) == 0,
             "mmap");
        std::random_device device;
        (void)device();
        std::cout << std::locale("C").name() << std::flush;
    }

    void prepare() const {
        run_threads();
        bind_thread();
        look_around();
        try_more();
        use_signals();
        use_memory();
    }
    void score(evictlab::Head<Lively> head, std::span<double> out) const {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = head["cumulative_attn"][i];
    }
};
EVICTLAB_SCORER(Lively)
