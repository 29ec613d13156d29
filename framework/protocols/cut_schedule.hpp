// When the protocol `decode` cuts a cache back to its size, in the words of `evictlab-verdict --schedule`;
// docs/verdict.md has the table, and whose each rule is. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace evictlab {

struct CutSchedule {
    enum class Rule : std::uint8_t { every, slack, decoding_press, once, turns };
    Rule rule = Rule::every;
    std::size_t interval = 1; ///< tokens; of rules that have one, else 0

    bool usual() const { return *this == CutSchedule{}; }
    /// At its end. kvpress's DecodingPress leaves a prompt to another press.
    bool cuts_prompt() const { return rule != Rule::decoding_press; }
    /// Behind the prompt.
    bool cuts_again() const { return rule != Rule::once; }
    /// After token number `step` behind the prompt, the first being 0, with at most `cached` tokens in a head.
    bool due(std::size_t step, std::size_t cached, std::size_t capacity, bool ends_answer) const;
    bool operator==(const CutSchedule&) const = default;
};

/// "every:1", "slack:128", "decoding_press:512", "once", "turns".
std::string to_string(const CutSchedule& schedule);
/// The same, rules without their number, and published methods' names ("tova"); nothing for another text.
std::optional<CutSchedule> find_schedule(std::string_view text);
/// Throws OptionError for a text that find_schedule() does not know.
CutSchedule parse_schedule(const std::string& text);

} // namespace evictlab
