// SPDX-License-Identifier: MIT
#include "framework/scorers/misspelt.hpp"

#include <algorithm>
#include <vector>

#include "framework/scorers/known_scorer.hpp"

namespace evictlab {
namespace {

constexpr std::string_view blanks = " \t\n", between_parameters = " \t\n:;,|&";
constexpr std::size_t longest = 1000; ///< nobody types more, and each parenthesis in it is a call

bool is_in(char c, std::string_view signs) { return signs.find(c) != std::string_view::npos; }

/// `window = 64` as `window=64`.
std::string closed_up(std::string_view text) {
    std::string closed;
    for (const char c : text) {
        if (c == '=')
            while (!closed.empty() && is_in(closed.back(), blanks)) closed.pop_back();
        if (!is_in(c, blanks) || !closed.ends_with('=')) closed += c;
    }
    return closed;
}

struct Word {
    std::string text;
    bool preset = false; ///< an '@' stands before it
};

std::vector<Word> words_of(std::string_view text) {
    std::vector<Word> words;
    bool open = false;
    for (const char c : text) {
        const bool preset = c == '@';
        if (preset || !(open || is_in(c, between_parameters))) words.push_back({"", preset});
        open = preset || !is_in(c, between_parameters);
        if (open && !preset) words.back().text += c;
    }
    return words;
}

bool starts_number(std::string_view text) { return !text.empty() && is_in(text[0], "+-.0123456789"); }

/// What stands behind the id. False where there is anything that is neither a preset nor a parameter with a value.
bool read_loosely(std::string_view text, ScorerName& name) {
    const std::vector<Word> words = words_of(text);
    if (words.empty()) return false; // a ':' alone
    for (std::size_t i = 0; i < words.size(); ++i) {
        const Word& word = words[i];
        if (word.text.empty() || (word.preset && name.preset)) return false;
        const auto equals = word.text.find('=');
        if (word.preset) {
            if (equals != std::string::npos) return false;
            name.preset = word.text;
        } else if (equals != std::string::npos) {
            name.assignments.push_back({word.text.substr(0, equals), word.text.substr(equals + 1)});
        } else if (i + 1 < words.size() && !starts_number(word.text) && starts_number(words[i + 1].text)) {
            name.assignments.push_back({word.text, words[++i].text}); // window:64
        } else {
            return false;
        }
    }
    return true;
}

/// Takes `(BASE)` out of the middle of a rule's text.
std::shared_ptr<const ScorerName> take_base(std::string& rule) {
    const auto open = rule.find('(');
    int depth = 0;
    for (std::size_t i = open; i < rule.size(); ++i) {
        if (rule[i] == '(') ++depth;
        if (rule[i] != ')' || --depth > 0) continue;
        auto base = parse_scorer_name(std::string_view(rule).substr(open + 1, i - open - 1));
        rule.erase(open, i + 1 - open);
        return std::make_shared<const ScorerName>(std::move(base));
    }
    return nullptr;
}

/// As respelt(), and the name itself where nothing is to be said of it.
ScorerName straightened(const ScorerName& name, const PluginHost& host) {
    if (name.is_formula() || name.too_deep) return name;
    ScorerName straight;
    straight.base = name.base;
    std::string rule = name.without_base();
    if (!straight.base) straight.base = take_base(rule);
    rule = closed_up(rule);
    const auto library_end = rule.rfind(".so");
    const auto id_end = library_end == std::string::npos ? rule.find_first_of(" \t\n:;,|&@") : library_end + 3;
    straight.id = rule.substr(0, id_end);
    if (!straight.is_library() && !host.find(straight.id)) return name;
    if (id_end < rule.size() && !read_loosely(std::string_view(rule).substr(id_end), straight)) return name;
    if (straight.base) straight.base = std::make_shared<const ScorerName>(straightened(*straight.base, host));
    return straight;
}

} // namespace

std::optional<ScorerName> respelt(const ScorerName& name, const PluginHost& host) {
    const std::string typed = name.text();
    if (typed.size() > longest) return std::nullopt;
    ScorerName straight = straightened(name, host);
    if (straight.text() == typed) return std::nullopt;
    return straight;
}

std::optional<std::string> respelt_list(const ScorerName& name, const PluginHost& host) {
    const std::string typed = name.text();
    if (name.is_formula() || typed.size() > longest) return std::nullopt;
    std::string list, scorer;
    bool all_known = true;
    for (std::size_t i = 0; i <= typed.size(); ++i) {
        if (i < typed.size() && !is_in(typed[i], " \t\n;")) {
            scorer += typed[i];
        } else if (!scorer.empty()) {
            all_known = all_known && known_scorer(scorer, host);
            list += (list.empty() ? "" : ",") + scorer;
            scorer.clear();
        }
    }
    if (!all_known || list == typed) return std::nullopt;
    return list;
}

} // namespace evictlab
