// SPDX-License-Identifier: MIT
#include "report/published.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace evictlab::report {
namespace {

constexpr std::array<std::string_view, 6> in_the_seed{"streaming_llm", "h2o", "snapkv", "pyramidkv", "knorm", "tova"};
constexpr std::array<std::string_view, 10> methods{
    "streaming_llm", "h2o",  "observed_attention", "snapkv",  "pyramidkv",
    "knorm",         "tova", "expected_attention", "keydiff", "lagkv"};
constexpr std::array<std::string_view, 4> wrappers{"adakv", "criticalkv", "criticaladakv", "chunkkv"};

template <std::size_t N>
bool among(std::string_view id, const std::array<std::string_view, N>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool is_published_preset(std::string_view preset) {
    if (preset.find(':') != std::string_view::npos) return false;
    return preset.empty() || (preset[0] == '@' && preset != "@seed");
}

/// The base that kvpress prescribes for CriticalKV: values are in its own factor.
constexpr std::string_view without_value_norm = "expected_attention@kvpress:use_vnorm=false";

/// id, id@preset, wrapper(base), wrapper@preset(base) or wrapper(base)@preset, as a person types it.
bool is_method_name(std::string_view name, bool inside_wrapper = false) {
    const auto open = name.find('(');
    if (open == std::string_view::npos) {
        if (inside_wrapper && name == without_value_norm) return true;
        if (name.find(':') != std::string_view::npos) return false;
        const auto at = std::min(name.find('@'), name.size());
        return among(name.substr(0, at), methods) && is_published_preset(name.substr(at));
    }
    const auto close = name.rfind(')');
    if (close == std::string_view::npos || close < open) return false;
    const auto outer = name.substr(0, open), after = name.substr(close + 1);
    const auto at = std::min(outer.find('@'), outer.size());
    return among(outer.substr(0, at), wrappers) && is_published_preset(outer.substr(at)) &&
           is_published_preset(after) && is_method_name(name.substr(open + 1, close - open - 1), true);
}

} // namespace

bool is_published_name(std::string_view name, std::string_view protocol) {
    if (protocol == "rescore")
        return name.find(':') == std::string_view::npos && among(name.substr(0, name.find('@')), in_the_seed);
    return is_method_name(name);
}

bool is_published(const ScorecardRow& row, std::string_view protocol) {
    return row.kind == RowKind::plugin && is_published_name(row.scorer, protocol);
}

} // namespace evictlab::report
