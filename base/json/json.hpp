// JSON text of somebody else: one parser, within limits, and one account of what is wrong with a text. Threads may call
// it at once.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/json/limits.hpp"

namespace evictlab {

/// Members keep the order in which they were written, so that a file is the same bytes for the same content.
using Json = nlohmann::ordered_json;

/// Why a text is not taken: what() fits behind its name.
struct JsonProblem : Error {
    enum class Kind : std::uint8_t {
        beyond,     ///< "nests deeper than 16 levels"
        ends_early, ///< also an empty text
        malformed   ///< "parse error at line 1, column 2: ...", or a number that no double holds
    };
    JsonProblem(Kind what_kind, const std::string& what, std::size_t at_line = 0, std::size_t at_column = 0)
        : Error(what), kind(what_kind), line(at_line), column(at_column) {}
    Kind kind;
    std::size_t line, column; ///< from 1, in bytes; 0 where the whole text is meant
};

/// Throws JsonProblem.
Json parse_within(std::string_view text, const JsonLimits& limits = {});

/// The same of a file's text: Error that names the file.
Json parse_json(std::string_view text, const std::string& file, const JsonLimits& limits = {});

} // namespace evictlab
