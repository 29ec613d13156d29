// SPDX-License-Identifier: MIT
#include "cli/search_options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/option_error.hpp"
#include "base/text/quoting.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"

namespace evictlab::cli {

using evolution::OptionNeeds;
using evolution::SearchOption;

void add_search_suite_options(po::options_description& options) {
    add_suite_options(options, true);
    options.add_options()("measure", po::value<std::string>()->value_name("M"),
                          "the error on captured suites: output_error (default), attention_loss or predicted_kl");
}

std::string search_suite_options_text(const po::variables_map& values) {
    std::string text = suite_options_text(values);
    if (values.contains("measure")) text += " --measure " + text::shell_quoted(values["measure"].as<std::string>());
    return text;
}

evolution::SearchRequest search_request_from(const po::variables_map& values, bool new_run) {
    evolution::SearchRequest request;
    if (new_run || values.contains("suite"))
        request.suites = suites_from(values);
    else if (!suite_options_text(values).empty())
        throw UsageError(
            fmt::format("{} is for a suite: name it, too, with --suite", suite_options_text(values).substr(1)));
    if (values.contains("measure")) request.measure = values["measure"].as<std::string>();
    request.retentions = retentions_from(values, {});
    if (names_shape(values)) request.shape = shape_from(values);
    request.keep = keep_from(values);
    return request;
}

std::string flag_of(std::string_view option) {
    std::string flag(option);
    std::ranges::replace(flag, '_', '-');
    return flag;
}

void add_search_options(po::options_description& options, OptionNeeds needs) {
    for (const SearchOption& option : evolution::search_options()) {
        if (option.needs != needs || option.help.empty()) continue;
        options.add_options()(flag_of(option.key).c_str(),
                              po::value<std::string>()->value_name(std::string(option.value)),
                              fmt::format("{} ({})", option.help, usual_text(option)).c_str());
    }
}

void read_search_options(const po::variables_map& values, evolution::RunConfig& config, OptionNeeds needs) {
    for (const SearchOption& option : evolution::search_options()) {
        const std::string flag = flag_of(option.key);
        if (option.needs != needs || !values.contains(flag)) continue;
        set_option(config, option, values[flag].as<std::string>());
        if (const std::string why = out_of_range(config, option); !why.empty()) throw OptionError(flag, why);
    }
}

void add_limit_options(po::options_description& options) {
    for (const evolution::LimitOption& limit : evolution::limit_options())
        options.add_options()(flag_of(limit.name).c_str(),
                              po::value<std::string>()->value_name(std::string(limit.value)),
                              std::string(limit.help).c_str());
}

void read_limits(const po::variables_map& values, evolution::RunLimits& limits) {
    for (const evolution::LimitOption& limit : evolution::limit_options())
        if (const std::string flag = flag_of(limit.name); values.contains(flag))
            set_limit(limits, limit, values[flag].as<std::string>());
}

std::string search_options_text(const po::variables_map& values, OptionNeeds needs) {
    std::string text;
    for (const SearchOption& option : evolution::search_options())
        if (const std::string flag = flag_of(option.key); option.needs == needs && values.contains(flag))
            text += fmt::format(" --{} {}", flag, values[flag].as<std::string>());
    return text;
}

} // namespace evictlab::cli
