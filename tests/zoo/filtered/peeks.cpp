// Opens what is the program's, the user's or the system's; fails if it can. With `looks` 1 it looks at nothing but the
// program's process. SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <evictlab/scorer.hpp>
#include <initializer_list>
#include <stdexcept>
#include <string>

struct Peeks {
    int program = 1, looks = 0;

    static constexpr evictlab::Info info{.id = "peeks", .name = "Peeks", .description = "looks around"};
    static constexpr evictlab::Columns columns{"cumulative_attn"};
    static constexpr evictlab::Parameter<Peeks> parameters[] = {
        {&Peeks::program, {.key = "program", .help = "the number of the program", .min = 1, .max = 1 << 22}},
        {&Peeks::looks, {.key = "looks", .help = "at what", .min = 0, .max = 1}}};

    static void look(const std::string& file) {
        char byte = 0;
        const int opened = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (opened >= 0 && (::read(opened, &byte, 1) == 1 || errno == EIO || errno == EAGAIN || errno == EISDIR))
            throw std::runtime_error("could look into " + file);
        ::close(opened);
    }

    void prepare() const {
        for (const long process : {long{program}, long{::getppid()}})
            for (const char* const what :
                 {"mem", "environ", "maps", "auxv", "io", "fd/0", "fd/3", "fd/10", "root", "cwd"})
                if (process > 0) look("/proc/" + std::to_string(process) + "/" + what);
        for (const char* const device : {"/dev/null", "/dev/zero", "/dev/urandom"})
            if (::open(device, O_RDONLY) < 0) throw std::runtime_error(std::string("has no ") + device);
        if (looks == 1) return;
        for (const char* const file : {"/etc/passwd", "/etc/hosts", "/etc/hostname", "/etc/shadow", "/dev/tty",
                                       "/dev/ptmx", "/dev/pts/0", "/dev/shm", "/tmp", "/root", "/home", "."})
            look(file);
    }
    void score(evictlab::Head<Peeks> head, std::span<double> out) const {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = head["cumulative_attn"][i];
    }
};
EVICTLAB_SCORER(Peeks)
