// SPDX-License-Identifier: MIT
#include "cli/made.hpp"

#include <fmt/chrono.h>

#include <charconv>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "cli/commit.hpp"
#include "cli/version.hpp"

namespace evictlab::cli {
namespace {

/// reproducible-builds.org/specs/source-date-epoch; the clock where it is no number.
std::time_t date() {
    const char* const given = std::getenv("SOURCE_DATE_EPOCH");
    const std::string_view text = given != nullptr ? given : "";
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr std::int64_t latest = 253'402'300'799; // 9999-12-31
    const bool valid = error == std::errc{} && end == text.data() + text.size() && !text.empty();
    return valid && seconds >= 0 && seconds <= latest ? static_cast<std::time_t>(seconds) : std::time(nullptr);
}

} // namespace

nlohmann::ordered_json with_made(nlohmann::ordered_json result) {
    nlohmann::ordered_json& made = result["made"];
    made = {{"version", version}, {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(date()))}};
    if (*commit != '\0') made["commit"] = commit;
    return result;
}

} // namespace evictlab::cli
