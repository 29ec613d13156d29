// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "conformance/tests.hpp"

namespace evictlab::conformance {
namespace {

constexpr Shape usual{2, 300, 1, 4}; // more tokens than the windows of most scorers
constexpr Shape long_batch{1, 4000, 1, 4};
constexpr const char* not_deterministic = "it does not say that it is deterministic";

std::optional<std::string> difference(const evl_batch& batch, std::span<const double> a, std::span<const double> b) {
    const std::size_t i = first_difference(a, b);
    if (i == a.size()) return std::nullopt;
    return fmt::format("{}: {} and {}", place(batch, i), a[i], b[i]);
}

/// Of a deterministic plugin: the usual batch's scores of each setting are the same where `again` scores it.
template <class Again>
Finding compare(const Subject& subject, Again&& again) {
    if (!subject.rules()[0]->deterministic()) return skipped(not_deterministic);
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, usual);
        const std::vector<double> expected = subject.scores_of(setting, batch), scores = again(setting, batch);
        const auto found = difference(batch.batch(), expected, scores);
        return found ? failed(*found) : passed();
    });
}

/// Runs the work in some threads at once; the first exception's text, or "".
template <class Work>
std::string in_threads(Work&& work) {
    std::mutex mutex;
    std::string wrong;
    constexpr int count = 4;
    std::vector<std::thread> threads;
    threads.reserve(count);
    for (int t = 0; t < count; ++t)
        threads.emplace_back([&] {
            try {
                work();
            } catch (const std::exception& error) {
                const std::lock_guard lock(mutex);
                if (wrong.empty()) wrong = error.what();
            }
        });
    for (std::thread& thread : threads) thread.join();
    return wrong;
}

/// Scores often, each time compared with `expected` where that is not empty.
void score_often(const ScorerInstance& instance, const MadeBatch& batch, const std::vector<double>& expected) {
    std::vector<double> scores(std::size_t{batch.batch().heads} * batch.batch().tokens);
    for (int i = 0; i < 25; ++i) {
        instance.score(batch.batch(), scores.data());
        if (expected.empty()) continue;
        if (const auto found = difference(batch.batch(), expected, scores)) throw Error(*found);
    }
}

std::vector<double> expected_of(const Subject& subject, const Setting& setting, const MadeBatch& batch) {
    std::vector<double> scores = subject.scores_of(setting, batch);
    if (!setting.rule->deterministic()) scores.clear();
    return scores;
}

/// All settings, and each parameter at its ends: what some value of a parameter needs is needed.
std::vector<Setting> far_settings(const Subject& subject) {
    std::vector<Setting> all = subject.settings();
    for (const auto& rule : subject.rules())
        for (std::size_t p = 0; p < rule->parameters().size(); ++p)
            for (const double end : {rule->parameters()[p].min, rule->parameters()[p].max}) {
                all.push_back({rule, rule->id(), rule->default_values()});
                all.back().values[p] = end;
            }
    return all;
}

/// What a scorer says of a layer: its scores, and any facts that it tells beside them.
std::vector<double> told_of(const Subject& subject, const Setting& setting, const MadeBatch& batch) {
    const auto instance = subject.create(setting);
    std::vector<double> told = subject.score(*instance, batch.batch());
    std::vector<double> facts(setting.rule->model_facts());
    if (!facts.empty()) instance->layer_facts(batch.batch(), told.data(), facts);
    told.insert(told.end(), facts.begin(), facts.end());
    return told;
}

/// Whether other values in the column change any of that.
bool reads(const Subject& subject, const Setting& setting, std::size_t column) {
    try {
        MadeBatch batch(*setting.rule, setting.values, long_batch);
        const std::vector<double> before = told_of(subject, setting, batch);
        const std::span<double> values = batch.column(column);
        std::ranges::reverse(values);
        for (double& value : values) value = 0.5 * value + 0.1;
        return first_difference(before, told_of(subject, setting, batch)) < before.size();
    } catch (const Error&) {
        return true; // whatever is wrong with it, other tests tell
    }
}

} // namespace

Finding deterministic(const Subject& subject) {
    return compare(subject,
                   [&](const Setting& setting, const MadeBatch& batch) { return subject.scores_of(setting, batch); });
}

Finding no_history(const Subject& subject) {
    return compare(subject, [&](const Setting& setting, const MadeBatch& batch) {
        const auto instance = subject.create(setting);
        for (const Shape& other : {Shape{1, 17, 0, 4}, Shape{3, 500, 3, 4}}) {
            try {
                subject.score(*instance, MadeBatch(*setting.rule, setting.values, other).batch());
            } catch (const PluginError& error) {
                if (!refused_in_words(error)) throw;
            }
        }
        return subject.score(*instance, batch.batch());
    });
}

Finding layout(const Subject& subject) {
    return compare(subject, [&](const Setting& setting, const MadeBatch&) {
        return subject.scores_of(setting,
                                 MadeBatch(*setting.rule, setting.values, usual, Filling::ordinary, Layout::shared));
    });
}

Finding newer_host(const Subject& subject) {
    struct LaterBatch {
        evl_batch known;
        std::byte appended[64];
    };
    return compare(subject, [&](const Setting& setting, const MadeBatch& batch) {
        LaterBatch later{batch.batch(), {}};
        std::ranges::fill(later.appended, std::byte{0xa5});
        later.known.struct_size = sizeof later;
        return subject.score(*subject.create(setting), later.known);
    });
}

Finding concurrent(const Subject& subject) {
    if (!subject.rules()[0]->concurrent()) return skipped("it does not say that its calls may overlap");
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, usual);
        const std::vector<double> expected = expected_of(subject, setting, batch);
        const auto instance = subject.create(setting);
        const std::string wrong = in_threads([&] { score_often(*instance, batch, expected); });
        return wrong.empty() ? passed() : failed(wrong);
    });
}

Finding parallel_instances(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, usual);
        const std::vector<double> expected = expected_of(subject, setting, batch);
        subject.process->calling();
        const std::string wrong = in_threads([&] {
            const auto instance = setting.rule->create(setting.values);
            score_often(*instance, batch, expected);
            instance->end();
        });
        return wrong.empty() ? passed() : failed(wrong);
    });
}

Finding undeclared_columns(const Subject& subject) {
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) * 1024;
    void* const pages = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return skipped("no memory for it");
    subject.process->forbid({static_cast<const std::byte*>(pages), size});
    return for_each_setting(subject, [&](const Setting& setting) {
        MadeBatch batch(*setting.rule, setting.values, usual);
        batch.point_spare_at(static_cast<const double*>(pages));
        subject.scores_of(setting, batch);
        return passed();
    });
}

Finding unused_columns(const Subject& subject) {
    const std::vector<Setting> settings = far_settings(subject);
    for (const auto& rule : subject.rules())
        for (std::size_t c = 0; c < rule->column_patterns().size(); ++c) {
            const bool used = std::ranges::any_of(
                settings, [&](const Setting& setting) { return setting.rule == rule && reads(subject, setting, c); });
            if (!used)
                return warned(fmt::format("no score follows from '{}', which the host computes for it",
                                          rule->column_patterns()[c]));
        }
    return passed();
}

Finding batch_kept(const Subject& subject) {
    return for_each_setting(subject, [&](const Setting& setting) {
        const MadeBatch batch(*setting.rule, setting.values, usual), as_it_was(*setting.rule, setting.values, usual);
        subject.scores_of(setting, batch);
        return batch == as_it_was ? passed() : failed("values of the batch are others after score");
    });
}

} // namespace evictlab::conformance
