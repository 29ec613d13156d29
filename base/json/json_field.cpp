// SPDX-License-Identifier: MIT
#include "base/json/json_field.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/input/input.hpp"
#include "base/json/one_of.hpp"
#include "base/text/shown.hpp"

namespace evictlab {
namespace {

/// What is there instead of what was expected, short enough for a message.
std::string in_short(const Json& json) {
    if (json.is_object()) return "an object";
    if (json.is_array()) return "a list";
    if (json.is_string()) return fmt::format("\"{}\"", text::line(json.get_ref<const std::string&>(), 40));
    return text::line(json.dump(), 40);
}

} // namespace

std::string JsonField::shown() const { return in_short(json_); }

void JsonField::fail(std::string_view what) const {
    throw Error(fmt::format("{}: {}: {}", text::line(file_), path_.empty() ? "the top" : text::line(path_, 200),
                            text::lines(what)));
}

void JsonField::expected(std::string_view what) const { fail(fmt::format("expected {}, found {}", what, shown())); }

const Json& JsonField::object() const {
    if (!json_.is_object()) expected("an object");
    return json_;
}

std::optional<JsonField> JsonField::optional_member(std::string_view key) const {
    const auto found = object().find(key);
    if (found == json_.end()) return std::nullopt;
    return JsonField(*found, file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

JsonField JsonField::member(std::string_view key) const {
    const auto found = optional_member(key);
    if (!found) fail(fmt::format("the field \"{}\" is missing", key));
    return *found;
}

std::optional<JsonField> JsonField::member_unless_null(std::string_view key) const {
    auto found = optional_member(key);
    if (found && found->json_.is_null()) return std::nullopt;
    return found;
}

std::vector<JsonField> JsonField::elements() const {
    if (!json_.is_array()) expected("a list");
    std::vector<JsonField> fields;
    for (std::size_t i = 0; i < json_.size(); ++i)
        fields.emplace_back(json_[i], file_, fmt::format("{}[{}]", path_, i));
    return fields;
}

const std::string& JsonField::text() const {
    if (!json_.is_string()) expected("a text");
    return json_.get_ref<const std::string&>();
}

bool JsonField::truth() const {
    if (!json_.is_boolean()) expected("true or false");
    return json_.get<bool>();
}

double JsonField::number() const {
    if (!json_.is_number() || !std::isfinite(json_.get<double>())) expected("a number");
    return json_.get<double>();
}

std::uint64_t JsonField::whole_up_to(std::uint64_t most) const {
    const bool is_whole = json_.is_number_unsigned() || (json_.is_number_integer() && json_.get<std::int64_t>() >= 0);
    if (!is_whole || json_.get<std::uint64_t>() > most) expected(fmt::format("a whole number up to {}", most));
    return json_.get<std::uint64_t>();
}

std::vector<double> JsonField::numbers() const {
    std::vector<double> values;
    for (const JsonField& element : elements()) values.push_back(element.number());
    return values;
}

std::vector<std::string> JsonField::texts() const {
    std::vector<std::string> values;
    for (const JsonField& element : elements()) values.push_back(element.text());
    return values;
}

double JsonField::number_between(double low, double high) const {
    const double value = number();
    if (value < low || value > high) expected(fmt::format("a number from {} to {}", low, high));
    return value;
}

const std::string& one_of(const JsonField& field, std::span<const std::string_view> known) {
    const std::string& found = field.text();
    for (const std::string_view name : known)
        if (name == found) return found;
    field.fail(fmt::format("expected \"{}\", found {}", fmt::join(known, "\" or \""), field.shown()));
}

std::string read_text(const std::filesystem::path& file, std::uintmax_t max_bytes) {
    try {
        return input::read_whole(file, max_bytes, input::Accept::files_and_pipes);
    } catch (const input::Stopped&) {
        throw Interrupted(fmt::format("{}: stopped while it was read", text::line(file.string())));
    } catch (const input::Problem& problem) {
        throw Error(fmt::format("{}: {}", text::line(file.string()), problem.what()));
    }
}

} // namespace evictlab
