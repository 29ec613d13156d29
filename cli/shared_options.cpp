// SPDX-License-Identifier: MIT
#include "cli/shared_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/quoting.hpp"
#include "framework/capture/suites.hpp"
#include "framework/protocols/protocol.hpp"

namespace evictlab::cli {
namespace {

using Strings = std::vector<std::string>;

std::optional<std::size_t> size_from(const po::variables_map& values, const char* option) {
    return number_from<std::size_t>(values, option, "a whole number");
}

} // namespace

void add_suite_options(po::options_description& options, bool several) {
    if (several)
        options.add_options()("suite", po::value<Strings>()->composing()->value_name("NAME"),
                              "the suite: micro, full, a captured one by name (see EVICTLAB_SUITE_PATH) or its folder; "
                              "repeated, the search is by the mean over suites");
    else
        options.add_options()("suite", po::value<std::string>()->value_name("NAME"),
                              "the suite: micro, full, a captured one by name (see EVICTLAB_SUITE_PATH) or its folder");
    options.add_options()("seq-len", po::value<std::string>()->value_name("N"), "micro: tokens a pattern (64)")(
        "layers", po::value<std::string>()->value_name("N"),
        "micro: layers a pattern (4)")("patterns", po::value<std::string>()->value_name("N"),
                                       "patterns a split (micro: 5; full and captured: the first N)")(
        "seed-offset", po::value<std::string>()->value_name("N"),
        "micro: added to the generator's base seeds 1000, 2000 and 3000")(
        "sliding-layers", "captured: also judge layers whose attention has a sliding window")(
        "calibration", po::value<std::string>()->value_name("FILE"),
        "captured: what evictlab-calibrate made of its model (default: the file that its suite.json names)");
}

namespace {

void require_suite(const po::variables_map& values) {
    if (!values.contains("suite"))
        throw UsageError(
            fmt::format("no suite given: add --suite NAME with one of {}", fmt::join(suite_names(), ", ")));
}

SuiteOptions sizes_from(const po::variables_map& values) {
    SuiteOptions options;
    options.seq_len = size_from(values, "seq-len");
    options.num_layers = size_from(values, "layers");
    options.patterns = size_from(values, "patterns");
    options.seed_offset = size_from(values, "seed-offset").value_or(0);
    options.sliding_layers = values.contains("sliding-layers");
    if (values.contains("calibration")) options.calibration = values["calibration"].as<std::string>();
    return options;
}

/// The options' part that a suite takes, where several suites share them.
SuiteOptions part_for(const std::string& suite, SuiteOptions options) {
    if (suite != "micro") {
        options.seq_len = options.num_layers = std::nullopt;
        options.seed_offset = 0;
    }
    if (is_synthetic_suite(suite)) {
        options.sliding_layers = false;
        options.calibration.clear();
    }
    return options;
}

} // namespace

Suite suite_from(const po::variables_map& values) {
    require_suite(values);
    return make_suite(values["suite"].as<std::string>(), sizes_from(values));
}

std::vector<Suite> suites_from(const po::variables_map& values) {
    require_suite(values);
    const SuiteOptions options = sizes_from(values);
    const Strings& names = values["suite"].as<Strings>();
    std::vector<Suite> suites;
    for (const std::string& name : names) {
        suites.push_back(make_suite(name, names.size() > 1 ? part_for(name, options) : options));
        for (std::size_t i = 0; i + 1 < suites.size(); ++i)
            if (suites[i].hash() == suites.back().hash())
                throw UsageError(fmt::format("--suite {} is given twice", name));
    }
    return suites;
}

std::string suite_options_text(const po::variables_map& values) {
    std::string text;
    if (values.contains("suite")) {
        const auto* several = boost::any_cast<Strings>(&values["suite"].value());
        for (const std::string& name : several ? *several : Strings{values["suite"].as<std::string>()})
            text += " --suite " + text::shell_quoted(name);
    }
    for (const char* option : {"seq-len", "layers", "patterns", "seed-offset", "calibration"})
        if (values.contains(option))
            text += fmt::format(" --{} {}", option, text::shell_quoted(values[option].as<std::string>()));
    if (values.contains("sliding-layers")) text += " --sliding-layers";
    return text;
}

void add_run_options(po::options_description& options) {
    options.add_options()(
        "retention", po::value<Strings>()->composing()->multitoken()->value_name("R"),
        "fractions of tokens kept, as 0.25,0.5,0.75 or repeated (default: those, and 0.1 on captured suites)")(
        "threads", po::value<std::string>()->value_name("N"),
        "threads (default: one a core); figures do not depend on it");
}

std::vector<double> retentions_from(const po::variables_map& values, const std::vector<double>& otherwise) {
    if (!values.contains("retention")) return otherwise;
    std::vector<double> retentions;
    for (const std::string& list : values["retention"].as<Strings>())
        for (std::size_t begin = 0; begin <= list.size();) {
            const std::size_t end = std::min(list.find(',', begin), list.size());
            const double r =
                text::number<double>("retention", list.substr(begin, end - begin), "a number such as 0.25");
            if (!(r > 0 && r <= 1))
                throw UsageError(
                    fmt::format("--retention {} is out of range: it is the fraction of tokens kept, above 0 "
                                "and at most 1",
                                r));
            if (std::ranges::find(retentions, r) != retentions.end())
                throw UsageError(fmt::format("--retention {} is given twice", r));
            retentions.push_back(r);
            begin = end + 1;
        }
    return retentions;
}

int threads_from(const po::variables_map& values) {
    const std::size_t threads = size_from(values, "threads").value_or(0);
    if (threads > 1024) throw UsageError("--threads must be from 1 to 1024");
    return static_cast<int>(threads);
}

std::string state_argument(const po::variables_map& values) {
    const Strings& files = values["state"].as<Strings>();
    if (files.size() != 1) throw UsageError("give one state file, such as evolution.json; see --help");
    return files.front();
}

} // namespace evictlab::cli
