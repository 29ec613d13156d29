// SPDX-License-Identifier: MIT
#include "report/page_files.hpp"

namespace evictlab::report {
namespace {

/// The text between its tags: JSON in a script must hold no "</script" or "<!--".
std::string inside_script(const Json& json) {
    std::string text;
    for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace))
        text += c == '<' ? std::string("\\u003c") : std::string(1, c);
    return text;
}

/// `text` with each "{{NAME}}" replaced by the file or text of that name.
std::string filled(std::string_view text, const std::map<std::string_view, std::string_view>& pieces) {
    std::string out;
    for (std::size_t from = 0;;) {
        const std::size_t open = text.find("{{", from), close = text.find("}}", open);
        if (close == std::string_view::npos) return out.append(text.substr(from));
        out.append(text.substr(from, open - from)).append(pieces.at(text.substr(open + 2, close - open - 2)));
        from = close + 2;
    }
}

} // namespace

std::string filled_page(std::string_view name, const Json& data, std::string_view refresh) {
    std::map<std::string_view, std::string_view> pieces = page_files();
    const std::string text = inside_script(data);
    pieces["data"] = text;
    pieces["refresh"] = refresh;
    return filled(pieces.at(name), pieces);
}

} // namespace evictlab::report
