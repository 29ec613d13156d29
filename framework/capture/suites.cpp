// SPDX-License-Identifier: MIT
#include "framework/capture/suites.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json/json.hpp"
#include "base/option_error.hpp"
#include "base/text/suggestion.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/suite/generated_suites.hpp"

namespace evictlab {
namespace {

void check_size(const char* option, const std::optional<std::size_t>& value, std::size_t low, std::size_t high) {
    if (value && (*value < low || *value > high))
        throw OptionError(option, fmt::format("is {}, but must be from {} to {}", *value, low, high));
}

} // namespace

Suite make_suite(std::string_view name, const SuiteOptions& options) {
    check_size("seq_len", options.seq_len, 4, 16384);
    check_size("layers", options.num_layers, 1, 1024);
    check_size("patterns", options.patterns, 1, 10000);
    if (options.sliding_layers && is_synthetic_suite(name))
        throw OptionError("sliding_layers",
                          fmt::format("belongs to suites captured from a model; '{}' is generated", name));
    if (!options.calibration.empty() && is_synthetic_suite(name))
        throw OptionError("calibration",
                          fmt::format("belongs to suites captured from a model; '{}' is generated", name));
    if (name == "micro") return make_micro(options);
    if (name == "full") return make_full(options);
    if (const auto folder = find_captured_suite(name)) return open_captured_suite(*folder, options);
    throw UsageError(fmt::format("unknown suite '{}'{}, and any folder with a suite.json", name,
                                 text::what_there_is(name, suite_names(), "suite")));
}

namespace {

/// The folder that the parameters name, or where the suite is found by its name.
std::string where_it_lies(const std::string& name, const std::string& folder) {
    if (find_captured_suite(folder)) return folder;
    if (captured_suite_by_name(name)) return name;
    throw Error(
        fmt::format("there is no suite in the folder {}, nor one named '{}' where EVICTLAB_SUITE_PATH says: go to "
                    "where {} is, or put the folder that holds '{}' into EVICTLAB_SUITE_PATH",
                    folder, name, folder, name));
}

} // namespace

Suite make_suite_from_parameters(std::string_view parameters_json) {
    const Json parameters = Json::parse(parameters_json, nullptr, false);
    if (!parameters.is_object() || !parameters.contains("name") || !parameters["name"].is_string())
        throw Error("suite parameters are damaged: expected a JSON object with a \"name\", got: " +
                    std::string(parameters_json.substr(0, 200)));
    SuiteOptions options;
    const auto read = [&parameters](const char* key, auto& field) {
        const auto at = parameters.find(key);
        if (at == parameters.end()) return;
        if (!at->is_number_unsigned()) throw Error(fmt::format("suite parameter \"{}\" is not a whole number", key));
        field = at->get<std::uint64_t>();
    };
    std::string name = parameters["name"];
    if (const auto folder = parameters.find("folder"); folder != parameters.end()) {
        if (!folder->is_string()) throw Error("suite parameter \"folder\" is not a text");
        name = where_it_lies(name, *folder);
    }
    if (const auto sliding = parameters.find("sliding_layers"); sliding != parameters.end()) {
        if (!sliding->is_boolean()) throw Error("suite parameter \"sliding_layers\" is not true or false");
        options.sliding_layers = *sliding;
    }
    if (const auto calibration = parameters.find("calibration"); calibration != parameters.end()) {
        if (!calibration->is_string()) throw Error("suite parameter \"calibration\" is not a text");
        options.calibration = *calibration;
    }
    read("patterns", options.patterns);
    read("seq_len", options.seq_len);
    read("layers", options.num_layers);
    read("seed_offset", options.seed_offset);
    read("test_seed_offset", options.test_seed_offset);
    return make_suite(name, options);
}

bool is_synthetic_suite(std::string_view name) { return name == "micro" || name == "full"; }

std::vector<std::string> suite_names() {
    std::vector<std::string> names{"micro", "full"};
    std::ranges::move(captured_suite_names(), std::back_inserter(names));
    return names;
}

} // namespace evictlab
