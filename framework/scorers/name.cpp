// SPDX-License-Identifier: MIT
#include "framework/scorers/name.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace evictlab {
namespace {

constexpr auto npos = std::string_view::npos;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n");
    if (first == npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// Where the parenthesis opens that the last character of `wrapper(base)` closes; npos where there is none.
std::size_t base_begin(std::string_view text) {
    int depth = 0;
    for (std::size_t i = text.size(); text.ends_with(')') && i-- > 0;) {
        if (text[i] == ')') ++depth;
        if (text[i] == '(' && --depth == 0) return i;
    }
    return npos;
}

ScorerName::Assignment parse_assignment(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == npos) return {std::string(text), std::nullopt};
    return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::vector<ScorerName::Assignment> parse_assignments(std::string_view text) {
    std::vector<ScorerName::Assignment> assignments;
    for (bool more = true; more;) {
        const auto comma = text.find(',');
        assignments.push_back(parse_assignment(trimmed(text.substr(0, comma))));
        more = comma != npos;
        if (more) text.remove_prefix(comma + 1);
    }
    return assignments;
}

void read_rule(std::string_view text, ScorerName& name) {
    const auto library_end = text.rfind(".so");
    const auto from = library_end == npos ? 0 : library_end + 3;
    if (const auto colon = text.find(':', from); colon != npos) {
        name.assignments = parse_assignments(text.substr(colon + 1));
        text = text.substr(0, colon);
    }
    if (const auto at = text.find('@', from); at != npos) {
        name.preset = text.substr(at + 1);
        text = text.substr(0, at);
    }
    name.id = text;
}

ScorerName parse(std::string_view text, int wrappers) {
    ScorerName name;
    text = trimmed(text);
    if (wrappers > most_wrappers) {
        name.too_deep = true;
    } else if (text.starts_with('=')) {
        name.expression = text.substr(1);
    } else if (text.ends_with(".formula")) {
        name.formula_file = text;
    } else {
        const auto open = base_begin(text);
        read_rule(trimmed(text.substr(0, open)), name);
        if (open != npos)
            name.base =
                std::make_shared<const ScorerName>(parse(text.substr(open + 1, text.size() - open - 2), wrappers + 1));
    }
    return name;
}

bool is_key(std::string_view text) {
    return !text.empty() && text[0] >= 'a' && text[0] <= 'z' && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

bool is_assignment(std::string_view text) {
    const auto equals = text.find('=');
    return equals != npos && is_key(trimmed(text.substr(0, equals))) && !text.substr(equals + 1).starts_with('=');
}

} // namespace

std::string ScorerName::without_base() const {
    std::string text = id;
    if (preset) text += '@' + *preset;
    char separator = ':';
    for (const auto& [key, value] : assignments) {
        text += separator + key;
        if (value) text += '=' + *value;
        separator = ',';
    }
    return text;
}

std::string ScorerName::text() const {
    if (expression) return '=' + *expression;
    if (!formula_file.empty()) return formula_file;
    return base ? fmt::format("{}({})", without_base(), base->text()) : without_base();
}

ScorerName parse_scorer_name(std::string_view text) { return parse(text, 0); }

std::vector<std::string> split_scorer_list(std::string_view text) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '(') ++depth;
        if (i < text.size() && text[i] == ')') --depth;
        const bool comma = i < text.size() && text[i] == ',' && depth <= 0;
        if (i < text.size() && !comma) continue;
        const auto part = trimmed(text.substr(begin, i - begin));
        if (part.empty()) throw UsageError(fmt::format("a scorer's name is empty in the list '{}'", text));
        if (!parts.empty() && is_assignment(part))
            parts.back().append(",").append(part);
        else
            parts.emplace_back(part);
        begin = i + 1;
    }
    return parts;
}

std::vector<std::string> files_in_scorer_list(std::string_view text) {
    std::vector<std::string> files;
    while (!text.empty()) { // what make_scorer() would refuse is looked through as well
        const std::size_t end = std::min(text.find_first_of("(),"), text.size());
        const ScorerName name = parse_scorer_name(text.substr(0, end));
        text.remove_prefix(std::min(text.size(), end + 1));
        if (!name.formula_file.empty()) files.push_back(name.formula_file);
        if (name.is_library()) files.push_back(name.id);
    }
    return files;
}

bool is_random(std::string_view scorer) { return parse_scorer_name(scorer).id == random_id; }

} // namespace evictlab
