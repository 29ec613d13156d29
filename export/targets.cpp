// SPDX-License-Identifier: MIT
#include "export/targets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text/suggestion.hpp"
#include "export/torch_formula.hpp"
#include "export/torch_pieces.hpp"

namespace evictlab::exporting {
namespace {

constexpr std::string_view kvpress = "kvpress", torch = "torch", engine = "engine";

constexpr std::array table{
    Target{"formula", "a .formula file, which every command takes as a scorer"},
    Target{"cpp-plugin", "a folder with a C++ plugin and its CMakeLists.txt, which needs the SDK alone"},
    Target{kvpress, "a Python file with a press for NVIDIA's kvpress 0.5.5, which needs nothing of evictlab"},
    Target{torch, "a Python file with the functions by which evictlab-tools scores on a model's device"},
    Target{engine, "llama.cpp by evictlab-llama: whole prompts, and tokens that go again and again, at every shape",
           false},
};

/// Where cached tokens stood in the text decides them.
constexpr std::array<std::string_view, 5> by_position{"expected_attn", "key_leverage", "replayed_attn", "capacity",
                                                      "head_share"};

/// What evictlab-llama needs to know of the columns of a formula, and what it then refuses (engine/).
struct InEngine {
    std::string refused;    ///< "", or why one cannot be had at all
    bool of_all = false;    ///< one reads what is gone once tokens are: then only places in the cache are known
    bool positions = false; ///< one needs more than those

    void add(ColumnId column) {
        for (auto read = std::optional(column); read; read = columns::base(*read)) {
            const ColumnInfo& info = columns::info(*read);
            if (columns::needs(*read) == ColumnNeeds::reconstruction)
                refused = "it needs a second pass over the prompt, which evictlab-llama does not run";
            of_all = of_all || info.across_heads ||
                     (!info.derive && info.queries == ColumnQueries::history && columns::history(*read) == all_history);
            positions = positions || std::ranges::find(by_position, info.name) != by_position.end();
        }
    }
};

std::string uses(ColumnId column, std::string_view why) {
    return fmt::format("uses the column '{}', which it cannot have: {}", columns::name(column), why);
}

constexpr std::string_view not_beside = "not beside the attention of all queries, of which a part is gone once tokens "
                                        "are, so that only places in the cache are known";

std::string engine_refusal(const formula::Formula& formula) {
    InEngine all;
    for (const formula::Node& node : formula.nodes()) { // in the text's order: ids differ from process to process
        if (node.op != formula::Op::column) continue;
        const ColumnId column = node.column;
        all.add(column);
        if (!all.refused.empty()) return uses(column, all.refused);
        if (all.of_all && all.positions) return uses(column, not_beside);
    }
    return "";
}

} // namespace

std::span<const Target> targets() { return table; }

std::string target_names(bool written_alone) {
    std::vector<std::string_view> names;
    for (const Target& target : table)
        if (target.written || !written_alone) names.push_back(target.name);
    const std::string_view last = names.back();
    names.pop_back();
    return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

const Target& find_target(std::string_view name) {
    const auto found = std::ranges::find(table, name, &Target::name);
    if (found != table.end()) return *found;
    std::vector<std::string> names;
    for (const Target& target : table) names.emplace_back(target.name);
    throw UsageError(
        fmt::format("'{}' is nothing that formulas go to{}", name, text::what_there_is(name, names, "target")));
}

std::string refusal(const Target& target, ColumnId column) {
    if (target.name == kvpress || target.name == torch) return torch_refusal(column);
    if (target.name != engine) return "";
    InEngine alone;
    alone.add(column);
    return alone.positions && alone.refused.empty() ? std::string(not_beside) : alone.refused;
}

std::string refusal(const Target& target, const formula::Formula& formula) {
    if (target.name == kvpress || target.name == torch) return torch_refusal(formula);
    return target.name == engine ? engine_refusal(formula) : "";
}

std::vector<std::string> destinations(const formula::Formula& formula) {
    std::vector<std::string_view> possible;
    std::vector<std::pair<std::string, std::vector<std::string_view>>> refused; // by reason
    for (const Target& target : table) {
        std::string why = refusal(target, formula);
        if (why.empty()) {
            possible.push_back(target.name);
            continue;
        }
        const auto same = std::ranges::find(refused, why, &decltype(refused)::value_type::first);
        if (same != refused.end())
            same->second.push_back(target.name);
        else
            refused.push_back({std::move(why), {target.name}});
    }
    std::vector<std::string> lines{fmt::format("{}", fmt::join(possible, ", "))};
    for (const auto& [why, names] : refused) lines.push_back(fmt::format("not {}: it {}", fmt::join(names, ", "), why));
    return lines;
}

} // namespace evictlab::exporting
