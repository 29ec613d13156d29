// SPDX-License-Identifier: MIT
#include "state/document.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <utility>

#include "base/digest/digest.hpp"
#include "base/json/limits.hpp"
#include "base/text/shown.hpp"

namespace evictlab::state {
namespace {

constexpr JsonLimits limits{.depth = 64};
constexpr std::string_view schema_name = "evictlab-evolution/";

std::string checksum_of(const Json& body) { return "sha256:" + sha256_hex(body.dump()); }

void check_schema(const Json& body, const std::string& name) {
    const auto found = body.find("schema");
    std::string_view schema;
    if (found != body.end() && found->is_string()) schema = found->get_ref<const std::string&>();
    if (!schema.starts_with(schema_name))
        throw StateError(
            fmt::format("{} is not an evolution run: it has no schema '{}{}'. Name the file that evolve wrote.", name,
                        schema_name, schema_version));
    const std::string_view digits = schema.substr(schema_name.size());
    int version = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
    const bool is_number = error == std::errc() && end == digits.data() + digits.size();
    if (is_number && version == schema_version) return;
    throw OtherVersion(fmt::format("{} has schema '{}', this evictlab reads '{}{}': {}.", name, text::line(schema, 80),
                                   schema_name, schema_version,
                                   is_number && version > schema_version
                                       ? "it was made by a newer evictlab; go on with that version"
                                       : "it was made by another evictlab; go on with the one that made it"));
}

/// The field `key` of a body whose checksum fits; a missing one means that another program wrote the file.
template <typename T>
T field(const Json& body, const char* key, const std::string& name) {
    try {
        return body.at(key).get<T>();
    } catch (const Json::exception&) {
        throw StateError(
            fmt::format("{} is not as evictlab writes it: its field '{}' is missing or of another type.", name, key));
    }
}

} // namespace

Json parse_checked(std::string_view text, const std::string& where) {
    if (text.empty()) throw StateError(where + " is empty.");
    try {
        return parse_within(text, limits);
    } catch (const JsonProblem& problem) {
        switch (problem.kind) {
        case JsonProblem::Kind::beyond:
            throw StateError(fmt::format("{} {}: evictlab did not write it.", where, problem.what()));
        case JsonProblem::Kind::ends_early:
            throw StateError(fmt::format("{} is truncated: it ends after {} bytes.", where, text.size()));
        case JsonProblem::Kind::malformed:
            break;
        }
        throw StateError(problem.line == 0 ? fmt::format("{} is damaged: {}.", where, problem.what())
                                           : fmt::format("{} is damaged: no valid JSON at line {}, column {}.", where,
                                                         problem.line, problem.column));
    }
}

std::string encode(Document& document, const std::filesystem::path& file) {
    Json body;
    body["schema"] = fmt::format("{}{}", schema_name, schema_version);
    body["journal_bytes"] = document.journal.bytes;
    body["journal_lines"] = document.journal.lines;
    body["journal_chain"] = document.journal.chain;
    body["run"] = std::move(document.run);
    std::string text;
    try {
        body["checksum"] = checksum_of(body);
        text = body.dump(1) + "\n";
    } catch (const Json::exception& error) {
        throw StateError(
            fmt::format("cannot save '{}': its content is no text in UTF-8 ({}).", file.string(), error.what()));
    }
    document.run = std::move(body["run"]);
    if (text.size() > state_bytes_limit)
        throw StateError(fmt::format("cannot save '{}': its content of {} bytes is larger than {} bytes.",
                                     file.string(), text.size(), state_bytes_limit));
    if (const std::string beyond = beyond_limits(text, limits); !beyond.empty())
        throw StateError(fmt::format("cannot save '{}': its content {}.", file.string(), beyond));
    return text;
}

Document decode(std::string_view text, const std::filesystem::path& file) {
    const std::string name = fmt::format("'{}'", file.string());
    Json body = parse_checked(text, name);
    if (!body.is_object()) throw StateError(name + " is not an evolution run: it holds no JSON object.");
    check_schema(body, name);
    const auto checksum = field<std::string>(body, "checksum", name);
    body.erase("checksum");
    if (checksum != checksum_of(body))
        throw StateError(name + " is damaged or was edited: its content does not fit its checksum.");
    Document document;
    document.journal.bytes = field<std::uint64_t>(body, "journal_bytes", name);
    document.journal.lines = field<std::uint64_t>(body, "journal_lines", name);
    document.journal.chain = field<std::string>(body, "journal_chain", name);
    document.run = std::move(body["run"]);
    return document;
}

} // namespace evictlab::state
