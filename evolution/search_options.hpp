// The options of a search, one row each: what is saved of a run's config, checked of it, typed for it and told about it
// reads this table. docs/evolution.md explains them; CONTRIBUTING.md says how to add one.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "evolution/setup.hpp"

namespace evictlab::evolution {

/// Which searches have a use for an option.
enum class OptionOf : std::uint8_t {
    any,
    formulas,        ///< where a plugin is tuned it must be what it is by default
    formulas_unread, ///< where a plugin is tuned it may not be typed, but is saved with a value that nobody reads
};

/// Whom a search must ask for an option to mean something.
enum class OptionNeeds : std::uint8_t { nobody, judge, proposer };

/// Which states have it: those that lack one have it by default.
enum class OptionSaved : std::uint8_t {
    always,
    since_islands, ///< all of these or, in a state of an engine before them, none
    sometimes,     ///< what is added now
};

/// Inclusive but where `below` says otherwise.
struct OptionRange {
    double low = 0, high = 0;
    bool below = false;
};

struct SearchOption {
    using Member = std::variant<std::uint64_t RunConfig::*, std::uint32_t RunConfig::*, double RunConfig::*,
                                bool RunConfig::*, ParentSelection RunConfig::*>;

    std::string_view key; ///< in the state's "config"; the command's flag is the same with hyphens
    Member member;
    std::string_view value; ///< what its value is called: N, SHARE
    std::string_view help;  ///< one line, without what is usual; "" where it cannot be typed
    std::optional<OptionRange> range{};
    OptionOf of = OptionOf::any;
    OptionNeeds needs = OptionNeeds::nobody;
    OptionSaved saved = OptionSaved::sometimes;
    std::optional<double> captured{};     ///< what is usual on captured suites, where that is not RunConfig's default
    std::optional<double> parameters{};   ///< and where a plugin is tuned
    std::optional<double> asked{};        ///< and where whom it needs is asked
    std::string_view words[2] = {"", ""}; ///< of one of two: what is typed for the first (false) and the second
};

/// In the order in which they are typed and shown.
std::span<const SearchOption> search_options();

/// The config of a new search, before anything was typed.
RunConfig usual_config(bool captured, bool tunes);
/// What is usual, in words: "400; captured suites: 100".
std::string usual_text(const SearchOption& option);

/// What is usual once whom the option needs is asked.
void ask_usually(RunConfig& config, const SearchOption& option);
/// Throws OptionError where the text is no value that the option can have.
void set_option(RunConfig& config, const SearchOption& option, std::string_view text);
double number_of(const RunConfig& config, const SearchOption& option); ///< a flag as 0 or 1
bool is_usual(const RunConfig& config, const SearchOption& option);    ///< RunConfig's default
/// "is 7, but must be from 1 to 5" where it is out of its range, else "".
std::string out_of_range(const RunConfig& config, const SearchOption& option);

/// A limit of a run, in the state's "limits": unlike an option it may differ on resume.
struct LimitOption {
    using Member = std::variant<std::optional<std::uint32_t> RunLimits::*, std::optional<std::uint64_t> RunLimits::*,
                                std::optional<double> RunLimits::*>;
    std::string_view key;
    std::string_view name; ///< as a command calls it, with hyphens for underscores
    Member member;
    std::string_view value, help, expected; ///< what its value is called, its one line, and what must be typed
};

/// In the order in which they are saved and shown.
std::span<const LimitOption> limit_options();
/// Throws OptionError where the text is no value that the limit can have.
void set_limit(RunLimits& limits, const LimitOption& limit, std::string_view text);
nlohmann::ordered_json limits_json(const RunLimits& limits);
RunLimits limits_from_json(const JsonField& field);

/// All options as members of the state's "config".
void write_options(const RunConfig& config, nlohmann::ordered_json& json);
/// Throws Error that names the field.
void read_options(const JsonField& field, RunConfig& config);

} // namespace evictlab::evolution
