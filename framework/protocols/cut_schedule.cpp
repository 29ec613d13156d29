// SPDX-License-Identifier: MIT
#include "framework/protocols/cut_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/option_error.hpp"

namespace evictlab {
namespace {

using Rule = CutSchedule::Rule;

constexpr std::array<std::string_view, 5> rules{"every", "slack", "decoding_press", "once", "turns"};
constexpr std::array<std::size_t, 5> usual_intervals{1, 128, 512, 0, 0};
constexpr std::size_t longest_interval = 1'000'000;

struct Method {
    std::string_view name;
    CutSchedule schedule;
};
constexpr std::array<Method, 4> methods{{{"tova", {Rule::every, 1}},
                                         {"h2o", {Rule::every, 1}},
                                         {"rkv", {Rule::every, 128}},
                                         {"triattention", {Rule::slack, 128}}}};

std::size_t usual_interval(Rule rule) { return usual_intervals[static_cast<std::size_t>(rule)]; }

std::optional<std::size_t> interval_in(std::string_view digits) {
    std::size_t number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || at != end || number == 0 || number > longest_interval) return std::nullopt;
    return number;
}

} // namespace

bool CutSchedule::due(std::size_t step, std::size_t cached, std::size_t capacity, bool ends_answer) const {
    switch (rule) {
    case Rule::every:
    case Rule::decoding_press:
        return (step + 1) % interval == 0;
    case Rule::slack:
        return cached >= capacity + interval;
    case Rule::turns:
        return ends_answer;
    case Rule::once:
        break;
    }
    return false;
}

std::string to_string(const CutSchedule& schedule) {
    const std::string_view rule = rules[static_cast<std::size_t>(schedule.rule)];
    return usual_interval(schedule.rule) > 0 ? fmt::format("{}:{}", rule, schedule.interval) : std::string(rule);
}

std::optional<CutSchedule> find_schedule(std::string_view text) {
    if (const auto method = std::ranges::find(methods, text, &Method::name); method != methods.end())
        return method->schedule;
    const std::size_t colon = text.find(':');
    const auto at = std::ranges::find(rules, text.substr(0, colon));
    if (at == rules.end()) return std::nullopt;
    const auto rule = static_cast<Rule>(at - rules.begin());
    if (colon == std::string_view::npos) return CutSchedule{rule, usual_interval(rule)};
    const auto interval = interval_in(text.substr(colon + 1));
    if (!interval || usual_interval(rule) == 0) return std::nullopt;
    return CutSchedule{rule, *interval};
}

CutSchedule parse_schedule(const std::string& text) {
    if (const auto found = find_schedule(text)) return *found;
    throw OptionError("schedule", fmt::format("is '{}'; there are every:N, slack:N and decoding_press:N, with N from 1 "
                                              "to {}, once, turns, and tova, h2o, rkv, triattention",
                                              text, longest_interval));
}

} // namespace evictlab
