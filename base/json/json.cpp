// SPDX-License-Identifier: MIT
#include "base/json/json.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/shown.hpp"

namespace evictlab {
namespace {

/// The library's message without its own prefix: "parse error at line 1, column 2: ...".
std::string reason(const std::exception& error) {
    const std::string text = error.what();
    const auto end = text.find("] ");
    return text::line(std::string_view(text).substr(end == std::string::npos ? 0 : end + 2), 300);
}

} // namespace

Json parse_within(std::string_view text, const JsonLimits& limits) {
    using Kind = JsonProblem::Kind;
    if (const std::string beyond = beyond_limits(text, limits); !beyond.empty())
        throw JsonProblem(Kind::beyond, beyond);
    try {
        return Json::parse(text.begin(), text.end());
    } catch (const Json::parse_error& error) {
        const std::size_t at = error.byte == 0 ? 0 : error.byte - 1;
        if (at >= text.size()) throw JsonProblem(Kind::ends_early, reason(error));
        const std::string_view before = text.substr(0, at);
        const auto lines = static_cast<std::size_t>(std::ranges::count(before, '\n'));
        throw JsonProblem(Kind::malformed, reason(error), lines + 1, at - (before.rfind('\n') + 1) + 1);
    } catch (const Json::exception& error) {
        throw JsonProblem(Kind::malformed, reason(error));
    }
}

Json parse_json(std::string_view text, const std::string& file, const JsonLimits& limits) {
    try {
        return parse_within(text, limits);
    } catch (const JsonProblem& problem) {
        throw Error(
            problem.kind == JsonProblem::Kind::beyond
                ? fmt::format("{}: {}: no file that evictlab writes or reads does", text::line(file), problem.what())
                : fmt::format("{}: not JSON: {}", text::line(file), problem.what()));
    }
}

} // namespace evictlab
