// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "conformance/tests.hpp"
#include "framework/plugin/descriptor.hpp"

namespace evictlab::conformance {
namespace {

constexpr int cycles = 200;

/// An instance's whole life.
void live(const Subject& subject, const Setting& setting, const MadeBatch& batch) {
    const auto instance = subject.create(setting);
    subject.score(*instance, batch.batch());
    subject.process->calling();
    instance->end();
}

/// Bytes that are allocated.
std::size_t allocated() {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// What the folder of /proc/self lists.
std::ptrdiff_t count_of(const char* what) {
    const std::filesystem::directory_iterator entries(std::filesystem::path("/proc/self") / what);
    return std::distance(begin(entries), end(entries));
}

} // namespace

Finding create(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        const auto instance = subject.create(setting);
        subject.process->calling();
        instance->end();
        return passed();
    });
}

Finding parameter_ends(const Subject& subject) {
    for (const auto& rule : subject.rules())
        for (std::size_t p = 0; p < rule->parameters().size(); ++p) {
            const Parameter& parameter = rule->parameters()[p];
            for (const double end : {parameter.min, parameter.max}) {
                Setting setting{rule, fmt::format("{}:{}={}", rule->id(), parameter.key, end), rule->default_values()};
                setting.values[p] = end;
                try {
                    subject.scores_of(setting, MadeBatch(*rule, setting.values, {}));
                } catch (const PluginError& error) {
                    if (refused_in_words(error)) continue;
                    return failed(fmt::format("{}: {}: {}", setting.name, error.phase, error.cause));
                } catch (const UsageError& error) { // the value makes a column's name that there is not
                    return failed(fmt::format("{}: {}", setting.name, error.what()));
                }
            }
        }
    return passed();
}

Finding many_instances(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, {});
        std::vector<std::unique_ptr<ScorerInstance>> all;
        all.reserve(cycles);
        for (int i = 0; i < cycles; ++i) all.push_back(subject.create(setting));
        subject.score(*all.front(), batch.batch());
        while (!all.empty()) {
            subject.process->calling();
            all.back()->end();
            all.pop_back();
        }
        return passed();
    });
}

Finding memory_given_back(const Subject& subject) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return skipped("a sanitizer's build does not count what is allocated");
#endif
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, {});
        for (int i = 0; i < cycles / 4; ++i) live(subject, setting, batch);
        const std::size_t before = allocated();
        for (int i = 0; i < cycles; ++i) live(subject, setting, batch);
        const std::size_t after = allocated();
        if (after < before + cycles) return passed();
        return failed(fmt::format("{} bytes more are allocated after {} instances were created, used and destroyed",
                                  after - before, cycles));
    });
}

Finding nothing_left_behind(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, {});
        live(subject, setting, batch);
        const std::ptrdiff_t files = count_of("fd"), threads = count_of("task");
        for (int i = 0; i < 10; ++i) live(subject, setting, batch);
        if (count_of("fd") > files) return failed("descriptors are open that were not before the last ten instances");
        if (count_of("task") > threads) return failed("threads are there that were not before the last ten instances");
        if (threads > 1) return warned(fmt::format("{} threads outlive their instance", threads - 1));
        return passed();
    });
}

Finding quiet(const Subject& subject) {
    const auto written = [] {
        (void)std::fflush(nullptr);
        return ::lseek(STDOUT_FILENO, 0, SEEK_CUR); // standard output and error are one file, which the host keeps
    };
    const off_t before = written();
    if (before < 0) return skipped("what the plugin prints cannot be seen here");
    for (const Setting& setting : subject.settings())
        live(subject, setting, MadeBatch(*setting.rule, setting.values, {}));
    const off_t after = written();
    if (after < 0) return failed("standard output is closed");
    if (after == before) return passed();
    std::array<char, 120> text{};
    const ssize_t count = ::pread(STDOUT_FILENO, text.data(), text.size(), before);
    std::string line(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    return failed(
        fmt::format("{} bytes are printed, beginning with: {}", after - before, line.substr(0, line.find('\n'))));
}

Finding environment_kept(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        live(subject, setting, MadeBatch(*setting.rule, setting.values, {}));
        const std::string changed = subject.process->changed();
        return changed.empty() ? passed() : failed(changed);
    });
}

} // namespace evictlab::conformance
