// Asks the system for one thing that a plugin may not have: the `attempt`th of attempts.hpp, the deadly ones first.
// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <evictlab/scorer.hpp>
#include <iterator>
#include <stdexcept>
#include <string>

#include "attempts.hpp"

struct Trespasses {
    int attempt = 0, program = 1;

    static constexpr evictlab::Info info{.id = "trespasses", .name = "Trespasses", .description = "asks for too much"};
    static constexpr evictlab::Columns columns{"cumulative_attn"};
    static constexpr evictlab::Parameter<Trespasses> parameters[] = {
        {&Trespasses::attempt, {.key = "attempt", .help = "which", .min = 0, .max = 1000}},
        {&Trespasses::program, {.key = "program", .help = "the number of the program", .min = 1, .max = 1 << 22}}};

    void prepare() const {
        const auto which = static_cast<std::size_t>(attempt);
        const Attempt& asked = which < std::size(deadly) ? deadly[which] : vain[which - std::size(deadly)];
        alignas(4096) static char zeros[8192];
        const auto value = [&](int i) -> long {
            const long argument = asked.arguments[i];
            if (argument == its_host) return program;
            if (argument == folder) return reinterpret_cast<long>("/tmp");
            return argument == memory ? reinterpret_cast<long>(zeros) : argument;
        };
        if (::syscall(asked.number, value(0), value(1), value(2), value(3), value(4), value(5)) >= 0)
            throw std::runtime_error("was given it");
        if (which < std::size(deadly)) throw std::runtime_error(std::string("only failed: ") + std::strerror(errno));
    }
    void score(evictlab::Head<Trespasses> head, std::span<double> out) const {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = head["cumulative_attn"][i];
    }
};
EVICTLAB_SCORER(Trespasses)
