// The page's own files, report/page/: cmake/page_files.cmake puts them into the program.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <string_view>

namespace evictlab::report {

/// By name: "page.html", "page.css", "table.js", "vendor/d3.min.js", ...
const std::map<std::string_view, std::string_view>& page_files();

} // namespace evictlab::report
