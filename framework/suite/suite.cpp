// SPDX-License-Identifier: MIT
#include "framework/suite/suite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "digest/digest.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/captured_trace.hpp"
#include "framework/error.hpp"
#include "framework/suite/synthetic.hpp"

namespace evictlab {
namespace {

using Json = nlohmann::ordered_json;
using Splits = BySplit<std::vector<TracePtr>>;

constexpr std::array<std::uint64_t, 3> base_seeds{1000, 2000, 3000};

std::string pattern_name(std::string_view suite, Split split, std::size_t i) {
    return fmt::format("{}/{}/{}", suite, to_string(split), i);
}

Suite make_micro(const SuiteOptions& o) {
    const Json parameters{{"name", "micro"},
                          {"generator", 1},
                          {"seq_len", o.seq_len.value_or(64)},
                          {"layers", o.num_layers.value_or(4)},
                          {"patterns", o.patterns.value_or(5)},
                          {"seed_offset", o.seed_offset},
                          {"test_seed_offset", o.test_seed_offset}};
    Splits splits;
    for (const Split split : generated_splits) {
        const auto s = static_cast<std::size_t>(split);
        const std::uint64_t offset = o.seed_offset + (split == Split::test ? o.test_seed_offset : 0);
        for (std::size_t i = 0; i < o.patterns.value_or(5); ++i)
            splits[s].push_back(
                make_pattern({pattern_name("micro", split, i), PatternStyle::micro, base_seeds[s] + offset + i,
                              o.seq_len.value_or(64), o.num_layers.value_or(4), 0.15, 0.4}));
    }
    return {"micro", parameters.dump(), std::move(splits)};
}

PatternSpec full_spec(Split split, std::size_t i) {
    const auto s = static_cast<std::size_t>(split);
    const auto part = [i](std::size_t modulus) { return static_cast<double>(i % modulus); };
    PatternSpec spec{pattern_name("full", split, i), PatternStyle::full, base_seeds[s] + i, 0, 32, 0.15, 0.4};
    switch (split) {
    case Split::train:
        spec.seed ^= i;
        spec.seq_len = 256 + 128 * (i % 4);
        spec.sink_strength = 0.1 + 0.1 * part(5) / 4;
        spec.local_strength = 0.3 + 0.2 * part(4) / 3;
        break;
    case Split::valid:
        spec.seed ^= 1000 + i;
        spec.seq_len = 384 + 64 * (i % 3);
        break;
    case Split::test:
        spec.seed ^= 2000 + i;
        spec.seq_len = 512 + 256 * (i % 3);
        spec.num_layers = 24 + 8 * (i % 2);
        break;
    case Split::test_other_model: // never generated
        break;
    }
    return spec;
}

Suite make_full(const SuiteOptions& o) {
    if (o.seq_len || o.num_layers || o.seed_offset || o.test_seed_offset)
        throw UsageError("suite 'full' has fixed sizes and seeds: it takes --patterns only "
                         "(--seq-len, --layers and --seed-offset belong to 'micro')");
    constexpr std::array<std::size_t, 3> published{20, 10, 10};
    const Json parameters{
        {"name", "full"}, {"generator", 1}, {"patterns", std::min<std::size_t>(o.patterns.value_or(20), 20)}};
    Splits splits;
    for (const Split split : generated_splits) {
        const auto s = static_cast<std::size_t>(split);
        for (std::size_t i = 0; i < std::min(published[s], o.patterns.value_or(published[s])); ++i)
            splits[s].push_back(make_pattern(full_spec(split, i)));
    }
    return {"full", parameters.dump(), std::move(splits)};
}

bool has_wov_norms_of(const CapturedTrace& trace) {
    return std::ranges::all_of(trace.layers(), [&trace](std::size_t layer) { return trace.has_wov_l1(layer); });
}

void check_size(std::string_view flag, const std::optional<std::size_t>& value, std::size_t low, std::size_t high) {
    if (value && (*value < low || *value > high))
        throw UsageError(fmt::format("{} is {}, but must be from {} to {}", flag, *value, low, high));
}

} // namespace

std::string_view to_string(Split split) {
    constexpr BySplit<std::string_view> names{"train", "valid", "test", "test_other_model"};
    return names[static_cast<std::size_t>(split)];
}

Suite::Suite(std::string name, std::string parameters_json, Splits splits)
    : name_(std::move(name)), parameters_json_(std::move(parameters_json)),
      hash_("sha256:" + sha256_hex(parameters_json_)), splits_(std::move(splits)) {}

Suite::Suite(std::string name, std::string parameters_json, std::string_view content, Splits splits)
    : name_(std::move(name)), parameters_json_(std::move(parameters_json)), hash_("sha256:" + sha256_hex(content)),
      splits_(std::move(splits)), captured_(true), has_wov_norms_(true), has_sensitivities_(true) {
    for (const auto& split : splits_)
        for (const TracePtr& trace : split) {
            const CapturedTrace& captured = *trace->captured();
            const bool projects = captured.output_projections() != nullptr;
            has_output_projections_ = has_output_projections_ || projects;
            has_wov_norms_ = has_wov_norms_ && (projects || has_wov_norms_of(captured));
            has_sensitivities_ = has_sensitivities_ && captured.probes() > 0;
            has_token_types_ = has_token_types_ && captured.has_token_type();
        }
}

Suite make_suite(std::string_view name, const SuiteOptions& options) {
    check_size("--seq-len", options.seq_len, 4, 16384);
    check_size("--layers", options.num_layers, 1, 1024);
    check_size("--patterns", options.patterns, 1, 10000);
    if (options.sliding_layers && is_synthetic_suite(name))
        throw UsageError(
            fmt::format("--sliding-layers belongs to suites captured from a model; '{}' is generated", name));
    if (name == "micro") return make_micro(options);
    if (name == "full") return make_full(options);
    if (const auto folder = find_captured_suite(name)) return open_captured_suite(*folder, options);
    throw UsageError(fmt::format("unknown suite '{}'; known suites: {}, and any folder with a suite.json", name,
                                 fmt::join(suite_names(), ", ")));
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
