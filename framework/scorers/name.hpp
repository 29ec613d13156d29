// A scorer's name as a person types it and tables show it, taken apart and printed. What it means is scorer.hpp's.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab {

/// `id@preset:key=value,...(BASE)`, `=EXPRESSION` or a formula's file. A value: copies are independent, bases are
/// shared and never change.
struct ScorerName {
    struct Assignment {
        std::string key;                  ///< all of the text where there is no '='
        std::optional<std::string> value; ///< nothing where there is no '='
        bool operator==(const Assignment&) const = default;
    };
    std::string id;                      ///< of a plugin, or the path of its library; "" of a formula, or of no name
    std::optional<std::string> preset;   ///< "" behind an '@' alone
    std::vector<Assignment> assignments; ///< one of an empty key behind a ':' alone
    std::shared_ptr<const ScorerName> base;
    std::optional<std::string> expression; ///< of a formula that is written out, without its '='
    std::string formula_file;              ///< of a formula in a file: its path
    bool too_deep = false;                 ///< more than most_wrappers around it: nothing else of it is read

    bool is_formula() const { return expression || !formula_file.empty(); }
    bool is_library() const { return id.ends_with(".so"); }
    std::string without_base() const; ///< `id@preset:key=value`
    std::string text() const;         ///< all of it: parse_scorer_name() gives an equal one
};

inline constexpr int most_wrappers = 8; ///< around each other

/// Any text has parts; whether there is such a scorer is for make_scorer() to say. A path may hold '@' and ':', so a
/// library's preset and parameters are looked for behind its `.so`.
ScorerName parse_scorer_name(std::string_view text);

/// Splits `a,b:x=1,y=2,max(1,2)` at the commas between scorers: not inside parentheses, and not before `key=value`.
/// Throws UsageError where one is empty.
std::vector<std::string> split_scorer_list(std::string_view text);

/// The files that the scorers of a list name: libraries and formulas, those inside wrappers too. Of a malformed list
/// those of its well-formed part.
std::vector<std::string> files_in_scorer_list(std::string_view text);

/// The rows that every bench has: the scorer that all others must beat, and the bounds, which no scorer has the name
/// of. The second one is for rows whose heads keep different numbers of tokens: the best of a whole layer.
inline constexpr std::string_view random_id = "random", oracle_name = "oracle",
                                  layer_oracle_name = "oracle (layer budget)",
                                  model_oracle_name = "oracle (model budget)";
/// Under any preset and seed.
bool is_random(std::string_view scorer);
inline bool is_bound(std::string_view scorer) {
    return scorer == oracle_name || scorer == layer_oracle_name || scorer == model_oracle_name;
}

} // namespace evictlab
