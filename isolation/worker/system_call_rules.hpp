// Rules of a filter of system calls. SPDX-License-Identifier: MIT
#pragma once
#include <seccomp.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>

namespace evictlab::isolation {

/// A comparison of one argument, of those bits alone that the kernel reads: most arguments are 32 bits of 64, and what
/// the others hold must decide nothing.
struct Argument {
    unsigned index;
    std::uint64_t bits, value;
    bool differs = false; ///< of all 64 bits
};
/// Of an `int` or `unsigned`.
constexpr Argument is(unsigned index, std::uint32_t value) { return {index, 0xffff'ffff, value}; }
/// Of all 64 bits.
constexpr Argument is_null(unsigned index) { return {index, ~std::uint64_t{0}, 0}; }
constexpr Argument is_not_null(unsigned index) { return {index, 0, 0, true}; }
/// These bits of it.
constexpr Argument has(unsigned index, std::uint64_t bits, std::uint64_t value) { return {index, bits, value}; }
constexpr Argument has_only(unsigned index, std::uint32_t flags) { return {index, 0xffff'ffff & ~flags, 0}; }

/// No two rules for one call may hold for the same arguments and say different things: the library does not say which
/// goes first. Names that this machine or library does not know are no loss: what has no rule is refused.
class SystemCallRules {
public:
    /// `otherwise`: what becomes of a call without a rule.
    explicit SystemCallRules(std::uint32_t otherwise);
    void allow(const char* name, std::initializer_list<Argument> arguments = {});
    void fail(int error, const char* name, std::initializer_list<Argument> arguments = {});
    /// By its number.
    void fail(int error, int number);
    /// In all threads. False where a rule or the kernel failed.
    bool load();

private:
    void add(std::uint32_t action, int number, std::span<const Argument> arguments);
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
    std::uint32_t otherwise_;
    bool whole_ = true;
};

} // namespace evictlab::isolation
