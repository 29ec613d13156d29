// A formula as a press of kvpress in plain PyTorch. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "export/exports.hpp"
#include "export/torch_formula.hpp"
#include "export/torch_pieces.hpp"
#include "framework/plugin/scaffold.hpp"

namespace evictlab::exporting {
namespace {

/// What asks the attention, with two empty lines around each piece.
std::string prompt_text() {
    std::string text;
    for (const std::string_view piece : torch_prompt()) text += fmt::format("{}\n\n\n", without_line_end(piece));
    return text;
}

/// What evictlab-tools gives to the functions.
std::string given_names(std::string_view text) {
    std::string names;
    for (const std::string_view name : {"EXACT", "Layer", "Refused", "alike", "visible"})
        if (mentions(text, name)) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    return "from evictlab_tools.scoring.layer import " + names;
}

} // namespace

std::string press_class(std::string_view name) { return struct_name(name) + "Press"; }

std::string kvpress_press(const Champion& champion, std::string_view version) {
    const TorchFormula torch = torch_formula(champion, 8);
    std::string columns;
    for (const auto& [variable, call] : torch.columns) columns += fmt::format("        {} = {}\n", variable.name, call);
    const std::string body = filled(torch_files().at("press.py"), {{"@CONSTANTS@\n", torch.constants},
                                                                   {"@PROMPT@\n", prompt_text()},
                                                                   {"@FUNCTIONS@\n", torch.functions},
                                                                   {"@CLASS@", press_class(champion.name)},
                                                                   {"@COLUMNS@\n", columns},
                                                                   {"@SCORES@", torch.expression}});
    return provenance_comment(champion, version, "# ") +
           fmt::format("# formula     {}\n# A press of NVIDIA's kvpress 0.5.5: pip install kvpress==0.5.5\n",
                       formula::print(champion.formula)) +
           licence_line(champion, false, "# ") + filled(body, {{"@IMPORTS@\n", torch_imports(body)}});
}

std::string torch_scores(const Champion& champion, std::string_view version) {
    const TorchFormula torch = torch_formula(champion, 4);
    std::string columns, named;
    for (const auto& [variable, call] : torch.columns) {
        columns += fmt::format("    {} = {}\n", variable.name, call);
        named += fmt::format("    \"{}\": lambda layer: {},\n", columns::name(variable.column), call);
    }
    const std::string body = filled(torch_files().at("scores.py"), {{"@CONSTANTS@\n", torch.constants},
                                                                    {"@FUNCTIONS@\n", torch.functions},
                                                                    {"@NAMED@\n", named},
                                                                    {"@COLUMNS@\n", columns},
                                                                    {"@SCORES@", torch.expression}});
    return provenance_comment(champion, version, "# ") +
           fmt::format("# formula     {}\n", formula::print(champion.formula)) + licence_line(champion, false, "# ") +
           filled(body, {{"@IMPORTS@\n", torch_imports(body)}, {"@GIVEN@", given_names(body)}});
}

} // namespace evictlab::exporting
