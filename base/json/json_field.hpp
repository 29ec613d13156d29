// One value inside a JSON file that somebody else may have written: every access checks, and its message says file,
// field and what was expected.
// SPDX-License-Identifier: MIT
#pragma once
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.hpp"

namespace evictlab {

/// Refers to the JSON value and the file's name; neither may go before it.
class JsonField {
public:
    JsonField(const Json& json, const std::string& file, std::string path = {})
        : json_(json), file_(file), path_(std::move(path)) {}

    JsonField member(std::string_view key) const; ///< Error where there is none
    std::optional<JsonField> optional_member(std::string_view key) const;
    std::optional<JsonField> member_unless_null(std::string_view key) const; ///< nothing too where it is null
    std::vector<JsonField> elements() const;
    const std::string& text() const;
    bool truth() const;
    double number() const;
    double number_between(double low, double high) const;
    template <std::unsigned_integral Whole>
    Whole whole() const {
        return static_cast<Whole>(whole_up_to(std::numeric_limits<Whole>::max()));
    }
    std::uint64_t whole_up_to(std::uint64_t most) const;
    std::vector<double> numbers() const;
    std::vector<std::string> texts() const;
    const Json& object() const;
    const std::string& path() const { return path_; }
    std::string shown() const;                           ///< for messages: what it is, short and on one line
    [[noreturn]] void fail(std::string_view what) const; ///< Error: file, field, what

private:
    [[noreturn]] void expected(std::string_view what) const;

    const Json& json_;
    const std::string& file_;
    std::string path_;
};

/// The file's content; Error where it cannot be read or is larger than max_bytes.
std::string read_text(const std::filesystem::path& file, std::uintmax_t max_bytes);

} // namespace evictlab
