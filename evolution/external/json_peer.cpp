// SPDX-License-Identifier: MIT
#include "evolution/external/json_peer.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace evictlab::evolution {
namespace {

[[noreturn]] void fail_nonsense(const std::string& what) { throw ProcessFailure(ProcessFailure::Kind::nonsense, what); }

/// With U+FFFD in the place of what is no UTF-8: what the JSON library writes for such text.
std::string valid_utf8(std::string_view text) {
    return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; } // of UTF-8

/// Bytes of a control character of UTF-8 (C0, DEL or C1) at this place; 0 where there is another one.
std::size_t control_at(std::string_view text, std::size_t i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return 1;
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    return c1 ? 2 : 0;
}

} // namespace

JsonPeer::JsonPeer(const std::string& command, std::string_view protocol, std::chrono::milliseconds timeout,
                   const StopSignal& stop)
    : timeout_(timeout), process_(command) {
    const std::string line = receive_line(deadline(), stop);
    try {
        introduction_ = object_from_line(line);
    } catch (const ProcessFailure&) {
        fail_nonsense(fmt::format("wrote '{}' where the line that introduces it belongs: its standard output is for "
                                  "the protocol alone, anything else goes to standard error",
                                  plain_text(line, 80)));
    }
    if (const auto spoken = introduction_.find("protocol"); spoken == introduction_.end() || *spoken != protocol)
        fail_nonsense(
            fmt::format("introduces itself with '{}' instead of \"protocol\": \"{}\"", plain_text(line, 80), protocol));
}

void JsonPeer::send(const Json& request) { process_.send(request.dump()); }

std::string JsonPeer::receive_line(LineProcess::Clock::time_point deadline, const StopSignal& stop) {
    try {
        return process_.read_line(deadline, stop);
    } catch (const ProcessFailure& failure) {
        if (failure.kind != ProcessFailure::Kind::silent) throw;
        const auto seconds = std::chrono::duration<double>(timeout_).count();
        throw ProcessFailure(failure.kind, fmt::format("was silent for {} s", seconds));
    }
}

Json JsonPeer::receive(const StopSignal& stop) { return object_from_line(receive_line(deadline(), stop)); }

Json object_from_line(const std::string& line) {
    Json json;
    try {
        json = parse_json(line, "a line");
    } catch (const Error&) {
        fail_nonsense(fmt::format("wrote a line that is not JSON: '{}'", plain_text(line, 80)));
    }
    if (!json.is_object()) fail_nonsense(fmt::format("wrote a line that is no object: '{}'", plain_text(line, 80)));
    return json;
}

std::string plain_text(std::string_view raw, std::size_t limit) {
    const std::string text = valid_utf8(raw);
    std::string plain;
    std::size_t characters = 0;
    std::size_t room = 0; // where the text is cut if it is too long
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t control = control_at(text, i);
        const bool blank = control > 0 || text[i] == ' ';
        if (blank && (plain.empty() || plain.back() == ' ')) {
            i += std::max<std::size_t>(control, 1);
            continue;
        }
        const bool begins = begins_character(text[i]);
        if (begins && characters + 3 == limit) room = plain.size();
        if (begins && characters++ == limit) return plain.substr(0, room) + "...";
        plain += blank ? ' ' : text[i];
        i += std::max<std::size_t>(control, 1);
    }
    if (plain.ends_with(' ')) plain.pop_back();
    return plain;
}

} // namespace evictlab::evolution
