// What a page that evictlab report writes shows, as it lies in the page.
// SPDX-License-Identifier: MIT
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace evictlab::test {

inline nlohmann::ordered_json data_of_page(const std::string& page) {
    const std::string open = R"(<script type="application/json" id="data">)";
    const std::size_t begin = page.find(open) + open.size();
    return nlohmann::ordered_json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

} // namespace evictlab::test
