// Finding plugins and suites. SPDX-License-Identifier: MIT
#include "capi/lab.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/text/shown.hpp"
#include "capi/guard.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/scorers/calibration_needs.hpp"
#include "framework/scorers/scorer.hpp"

using namespace evictlab;

evl_lab::evl_lab(std::span<const std::filesystem::path> plugin_dirs) : host(plugin_dirs) {
    for (const PluginError& problem : host.problems()) problems.push_back(text::lines(problem.what()));
    list_scorers();
}

void evl_lab::list_scorers() {
    std::vector<std::string> list;
    for (const Scorer& scorer : all_prefill_scorers(host))
        if (!scorer.unmatched() && lacks_calibration(scorer, calibration.get()).empty()) list.push_back(scorer.label());
    scorers = &lists.emplace_back(std::move(list));
}

namespace {

std::filesystem::path folder_of(const char* suite) {
    auto folder = find_captured_suite(suite);
    if (folder) return *std::move(folder);
    std::string names;
    for (const std::string& name : captured_suite_names()) names += (names.empty() ? "" : ", ") + name;
    throw UsageError(fmt::format("no captured suite '{}'; there are: {}", suite, names.empty() ? "none" : names));
}

} // namespace

extern "C" {

const char* evl_version(void) { return EVICTLAB_VERSION; }

evl_status evl_lab_open(const char* const* plugin_dirs, uint64_t count, evl_lab** lab, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(lab, "lab");
        if (count > 0) capi::require(plugin_dirs, "plugin_dirs");
        std::vector<std::filesystem::path> folders;
        for (uint64_t i = 0; i < count; ++i) {
            capi::require(plugin_dirs[i], "a folder of plugin_dirs");
            folders.emplace_back(plugin_dirs[i]);
        }
        *lab = new evl_lab(folders);
    });
}

evl_status evl_lab_calibration(evl_lab* lab, const char* file, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(lab, "lab");
        capi::require(file, "file");
        auto read = read_calibration(file);
        const std::lock_guard lock(lab->mutex);
        lab->calibration = std::move(read);
        lab->list_scorers();
    });
}

void evl_lab_close(evl_lab* lab) { delete lab; }

uint64_t evl_lab_problem_count(const evl_lab* lab) { return lab ? lab->problems.size() : 0; }
const char* evl_lab_problem(const evl_lab* lab, uint64_t index) {
    return index < evl_lab_problem_count(lab) ? lab->problems[index].c_str() : nullptr;
}

uint64_t evl_lab_scorer_count(const evl_lab* lab) { return lab ? lab->scorers.load()->size() : 0; }
const char* evl_lab_scorer(const evl_lab* lab, uint64_t index) {
    if (!lab) return nullptr;
    const std::vector<std::string>& scorers = *lab->scorers.load();
    return index < scorers.size() ? scorers[index].c_str() : nullptr;
}

evl_status evl_lab_split(const evl_lab* lab, const char* list, void (*add)(void* context, const char* text),
                         void* context, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(lab, "lab");
        capi::require(list, "list");
        capi::require(add, "add");
        for (const std::string& text : split_scorer_list(list)) {
            if (text != "all") {
                add(context, text.c_str());
                continue;
            }
            for (const std::string& scorer : *lab->scorers.load()) add(context, scorer.c_str());
        }
    });
}

evl_status evl_suite_hash(const char* suite, char hash[80], evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(suite, "suite");
        capi::require(hash, "hash");
        const std::string text = open_captured_suite(folder_of(suite)).hash();
        std::memcpy(hash, text.c_str(), text.size() + 1);
    });
}

evl_status evl_suite_folder(const char* suite, void (*take)(void* context, const char* folder), void* context,
                            evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(suite, "suite");
        capi::require(take, "take");
        take(context, folder_of(suite).c_str());
    });
}

} // extern "C"
