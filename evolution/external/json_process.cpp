// SPDX-License-Identifier: MIT
#include "evolution/external/json_process.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text/shown.hpp"

namespace evictlab::evolution {
namespace {

[[noreturn]] void fail_nonsense(const std::string& what) { throw ProcessFailure(ProcessFailure::Kind::nonsense, what); }

} // namespace

JsonProcess::JsonProcess(const std::string& command, std::span<const std::string_view> protocols,
                         std::chrono::milliseconds timeout, const StopSignal& stop)
    : timeout_(timeout), process_(command) {
    const std::string line = receive_line(deadline(), stop);
    try {
        introduction_ = object_from_line(line);
    } catch (const ProcessFailure&) {
        fail_nonsense(fmt::format("wrote '{}' where the line that introduces it belongs: its standard output is for "
                                  "the protocol alone, anything else goes to standard error",
                                  text::sentence(line, 80)));
    }
    const auto spoken = introduction_.find("protocol");
    if (spoken == introduction_.end() || std::ranges::find(protocols, *spoken) == protocols.end())
        fail_nonsense(fmt::format("introduces itself with '{}' instead of \"protocol\": \"{}\"",
                                  text::sentence(line, 80), protocols.front()));
}

void JsonProcess::send(const Json& request) { process_.send(request.dump()); }

std::string JsonProcess::receive_line(LineProcess::Clock::time_point deadline, const StopSignal& stop) {
    try {
        return process_.read_line(deadline, stop);
    } catch (const ProcessFailure& failure) {
        if (failure.kind != ProcessFailure::Kind::silent) throw;
        const auto seconds = std::chrono::duration<double>(timeout_).count();
        throw ProcessFailure(failure.kind, fmt::format("was silent for {} s", seconds));
    }
}

Json JsonProcess::receive(const StopSignal& stop) { return object_from_line(receive_line(deadline(), stop)); }

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
