// Pages that need nothing else, made of the files in report/page/: cmake/page_files.cmake puts these into the program.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/json/json.hpp"

namespace evictlab::report {

/// By name: "page.html", "page.css", "ranking.js", "vendor/d3.min.js", ...
const std::map<std::string_view, std::string_view>& page_files();

/// The HTML file of that name, with the others in the place of their names, and `data` as text that no browser takes
/// for markup. `refresh`: markup for its head, or "".
std::string filled_page(std::string_view name, const Json& data, std::string_view refresh = "");

} // namespace evictlab::report
