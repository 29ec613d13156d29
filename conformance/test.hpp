// The tests that `evictlab check` makes of a plugin: whether it keeps the contract (evictlab/scorer.h). A test runs in
// a process of its own (the module isolation), where the plugin may crash or hang: that is a finding, too.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace evictlab {
class SealedLibrary;
}

namespace evictlab::conformance {

enum class Outcome : std::uint8_t { passed, warned, failed, skipped };

struct Finding {
    Outcome outcome = Outcome::passed;
    std::string seen; ///< what was seen, or why it was skipped; empty where it passed
};

inline Finding passed() { return {}; }
inline Finding warned(std::string seen) { return {Outcome::warned, std::move(seen)}; }
inline Finding failed(std::string seen) { return {Outcome::failed, std::move(seen)}; }
inline Finding skipped(std::string why) { return {Outcome::skipped, std::move(why)}; }

/// What the process that a test runs in gives to it.
class Process {
public:
    virtual ~Process() = default;
    /// A call into the plugin begins: its time-out counts from here.
    virtual void calling() = 0;
    /// Room for scores, each marked as unwritten, between guards; until the next call.
    virtual std::span<double> scores(std::size_t count) = 0;
    virtual bool is_unwritten(double score) const = 0;
    virtual bool wrote_before_scores() const = 0;
    /// What the plugin changed of what it shares with others, put back: the floating-point mode, the locale. Or "".
    virtual std::string changed() = 0;
    /// Whoever reads there reads a column that it did not declare.
    virtual void forbid(std::span<const std::byte> pages) = 0;
};

struct Subject;

struct Test {
    std::string_view name;
    std::string_view expected; ///< what a good plugin does
    std::string_view mend;     ///< how to become one
    std::string_view needs;    ///< the test that must have passed for this one to make sense, or ""
    /// Throws PluginError for what the host would refuse.
    Finding (*run)(const Subject& subject);
};

/// In the order in which they run: what a test needs comes before it.
std::span<const Test> tests();
/// Null where there is none of that name.
const Test* find_test(std::string_view name);

/// Runs one test of the library in this process. An exception is a finding.
Finding run_test(const Test& test, std::shared_ptr<const SealedLibrary> library, Process& process);

} // namespace evictlab::conformance
