// SPDX-License-Identifier: MIT
#include "evolution/external/json_peer.hpp"

#include <fmt/format.h>

#include "base/text/shown.hpp"

namespace evictlab::evolution {
namespace {

[[noreturn]] void fail_nonsense(const std::string& what) { throw ProcessFailure(ProcessFailure::Kind::nonsense, what); }

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
                                  text::sentence(line, 80)));
    }
    if (const auto spoken = introduction_.find("protocol"); spoken == introduction_.end() || *spoken != protocol)
        fail_nonsense(fmt::format("introduces itself with '{}' instead of \"protocol\": \"{}\"",
                                  text::sentence(line, 80), protocol));
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
        fail_nonsense(fmt::format("wrote a line that is not JSON: '{}'", text::sentence(line, 80)));
    }
    if (!json.is_object()) fail_nonsense(fmt::format("wrote a line that is no object: '{}'", text::sentence(line, 80)));
    return json;
}

} // namespace evictlab::evolution
