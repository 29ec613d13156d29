// SPDX-License-Identifier: MIT
#include "report/run_page.hpp"

#include <fmt/format.h>

#include "report/genealogy.hpp"
#include "report/page_files.hpp"
#include "report/run_status.hpp"

namespace evictlab::report {

Json run_page_json(std::span<const std::filesystem::path> state_files) {
    Json json{{"schema", run_page_schema}, {"runs", Json::array()}};
    for (const auto& file : state_files)
        json["runs"].push_back({{"status", to_json(read_status(file))},
                                {"log", to_json(read_log(file, {.accepted = true, .rejected = 0}))}});
    return json;
}

std::string to_run_page(const Json& runs, std::optional<int> refresh_seconds) {
    const std::string refresh =
        refresh_seconds ? fmt::format("<meta http-equiv=\"refresh\" content=\"{}\">", *refresh_seconds) : "";
    return filled_page("run.html", runs, refresh);
}

} // namespace evictlab::report
