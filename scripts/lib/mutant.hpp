// What scripts/mutate puts in the place of operators, constants and statements: each does what stood there, unless its
// mutant is the one that this process is. SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <type_traits>
#include <utility>

namespace mutant {

inline constexpr int most = 20000;
inline std::atomic<unsigned char> reached[most];

/// Of MUTANT; -1: notes what is reached, for MUTANT_REACHED, a file of a byte a mutant.
inline int chosen() {
    static const int number = [] {
        const char* const text = std::getenv("MUTANT");
        if (std::getenv("MUTANT_REACHED"))
            std::atexit([] {
                if (std::FILE* const file = std::fopen(std::getenv("MUTANT_REACHED"), "wb")) {
                    for (const auto& byte : reached) std::fputc(byte.load(), file);
                    std::fclose(file);
                }
            });
        return text ? std::atoi(text) : -1;
    }();
    return number;
}

inline bool on(int id) {
    const int number = chosen();
    if (number < 0) reached[id].store(1, std::memory_order_relaxed);
    return number == id;
}
inline bool runs(int id) { return !on(id); }

template <class Condition>
bool condition(int id, const Condition& value) {
    const bool truth = static_cast<bool>(value);
    return on(id) ? !truth : truth;
}
template <class Condition>
bool negate(int id, const Condition& value) {
    const bool truth = static_cast<bool>(value);
    return on(id) ? truth : !truth;
}
template <class First, class Second>
bool both(int id, First first, Second second) {
    if (on(id)) return first() || second();
    if (on(id + 1)) return first();
    if (on(id + 2)) return second();
    return first() && second();
}
template <class First, class Second>
bool either(int id, First first, Second second) {
    if (on(id)) return first() && second();
    if (on(id + 1)) return first();
    if (on(id + 2)) return second();
    return first() || second();
}

// Comparisons: at the boundary, and the other way round.
template <class A, class B>
bool lt(int id, const A& a, const B& b) {
    return on(id) ? a <= b : on(id + 1) ? a >= b : a < b;
}
template <class A, class B>
bool le(int id, const A& a, const B& b) {
    return on(id) ? a < b : on(id + 1) ? a > b : a <= b;
}
template <class A, class B>
bool gt(int id, const A& a, const B& b) {
    return on(id) ? a >= b : on(id + 1) ? a <= b : a > b;
}
template <class A, class B>
bool ge(int id, const A& a, const B& b) {
    return on(id) ? a > b : on(id + 1) ? a < b : a >= b;
}
template <class A, class B>
bool eq(int id, const A& a, const B& b) {
    return on(id) ? !(a == b) : a == b;
}
template <class A, class B>
bool ne(int id, const A& a, const B& b) {
    return on(id) ? a == b : !(a == b);
}

template <class A, class B>
auto add(int id, A a, B b) -> decltype(a + b) {
    return on(id) ? static_cast<decltype(a + b)>(a - b) : a + b;
}
template <class A, class B>
auto sub(int id, A a, B b) -> decltype(a - b) {
    return on(id) ? static_cast<decltype(a - b)>(a + b) : a - b;
}
template <class A, class B>
auto mul(int id, A a, B b) -> decltype(a * b) {
    return on(id) ? a / b : a * b;
}
template <class A, class B>
auto div(int id, A a, B b) -> decltype(a / b) {
    return on(id) ? a * b : a / b;
}
template <class A, class B>
auto mod(int id, A a, B b) -> decltype(a % b) {
    return on(id) ? a * b : a % b;
}
template <class A, class B>
auto bit_and(int id, A a, B b) -> decltype(a & b) {
    return on(id) ? a | b : a & b;
}
template <class A, class B>
auto bit_or(int id, A a, B b) -> decltype(a | b) {
    return on(id) ? a & b : a | b;
}
template <class A>
auto minus(int id, A a) -> decltype(-a) {
    return on(id) ? a : -a;
}

template <class A, class B>
A& add_to(int id, A& a, B&& b) {
    return on(id) ? a -= b : a += b;
}
template <class A, class B>
A& sub_from(int id, A& a, B&& b) {
    return on(id) ? a += b : a -= b;
}
template <class A, class B>
A& mul_by(int id, A& a, B&& b) {
    return on(id) ? a /= b : a *= b;
}
template <class A, class B>
A& div_by(int id, A& a, B&& b) {
    return on(id) ? a *= b : a /= b;
}
template <class A, class B>
A& or_to(int id, A& a, B&& b) {
    return on(id) ? a &= b : a |= b;
}

/// A literal: one more (half as much again of a floating one, 1 of zero), and one less where that is not negative.
template <class T>
T number(int id, T value) {
    if constexpr (std::is_floating_point_v<T>)
        return on(id) ? (value == 0 ? T{1} : value * T{1.5}) : value;
    else
        return on(id) ? value + 1 : value > 0 && on(id + 1) ? value - 1 : value;
}
inline bool truth(int id, bool value) { return on(id) ? !value : value; }

template <class T>
T minimum(int id, const T& a, const T& b) {
    return on(id) ? (a < b ? b : a) : (b < a ? b : a);
}
template <class T>
T maximum(int id, const T& a, const T& b) {
    return on(id) ? (b < a ? b : a) : (a < b ? b : a);
}

} // namespace mutant
