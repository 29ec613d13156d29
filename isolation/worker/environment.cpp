// SPDX-License-Identifier: MIT
#include "isolation/worker/environment.hpp"

#include <clocale>
#include <cstring>

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace evictlab::isolation {
namespace {

// Rounding, flushing of denormals and traps; not the sticky flags of what happened.
#if defined(__x86_64__)
constexpr unsigned sticky = 0x3f;
unsigned long long floating_point_mode() { return _mm_getcsr() & ~sticky; }
void set_floating_point_mode(unsigned long long mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
unsigned long long floating_point_mode() {
    unsigned long long mode = 0;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
void set_floating_point_mode(unsigned long long mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
unsigned long long floating_point_mode() { return static_cast<unsigned long long>(std::fegetround()); }
void set_floating_point_mode(unsigned long long mode) { std::fesetround(static_cast<int>(mode)); }
#endif

} // namespace

Environment::Environment() : mode_(floating_point_mode()), locale_(std::setlocale(LC_ALL, nullptr)) {}

std::string Environment::restore() {
    std::string changed;
    if (floating_point_mode() != mode_) {
        set_floating_point_mode(mode_);
        changed = "left the floating-point mode changed";
    }
    if (const char* now = std::setlocale(LC_ALL, nullptr); locale_ != now) {
        changed = changed.empty() ? "changed the process's locale to " + std::string(now) : changed;
        (void)std::setlocale(LC_ALL, locale_.c_str());
    }
    return changed;
}

} // namespace evictlab::isolation
