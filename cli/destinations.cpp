// SPDX-License-Identifier: MIT
#include "cli/destinations.hpp"

#include <fmt/format.h>

#include "evolution/shown.hpp"
#include "export/targets.hpp"
#include "report/run_text.hpp"

namespace evictlab::cli {

std::string destinations_text(const evolution::Genome& genome, std::optional<std::size_t> width) {
    if (genome.parameters()) return "";
    report::LabelledLines lines(width);
    std::string_view label = "goes to";
    for (const std::string& line : exporting::destinations(shown_formula(genome))) {
        lines.say(label, line);
        label = "";
    }
    return lines.take();
}

void add_refusals(Json& status) {
    Json& champion = status.at("champion");
    if (!champion.contains("formula")) return;
    const std::string text = champion.value("shown", champion.at("formula").get<std::string>());
    const formula::Formula formula = formula::parse(text);
    for (const exporting::Target& target : exporting::targets())
        if (std::string why = refusal(target, formula); !why.empty())
            champion["not_exportable"][std::string(target.name)] = std::move(why);
}

std::string refused_text(const std::string& formula) {
    std::string names;
    const formula::Formula parsed = formula::parse(formula);
    for (const exporting::Target& target : exporting::targets())
        if (!refusal(target, parsed).empty()) names += fmt::format("{}{}", names.empty() ? "" : ", ", target.name);
    return names.empty() ? "" : ", not for " + names;
}

} // namespace evictlab::cli
