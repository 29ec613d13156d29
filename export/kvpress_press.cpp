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

/// Scores of tokens, `scores`, as those of the blocks of those who share a set.
std::string blocks_of(std::string scores, const Shape& shape) {
    if (shape.granularity != Granularity::head) scores = fmt::format("joined_by_{}({})", to_string(shape.join), scores);
    if (shape.block == 1) return scores;
    return fmt::format("{}_of_blocks({})", shape.block_score == BlockScore::max ? "best" : "mean", scores);
}

/// The press whose columns and scores are yet to be filled in.
std::string shaped_press(const PressCut& cut) {
    const Shape& shape = cut.shape;
    const bool waits = shape.granularity == Granularity::model;
    std::string words = "    " + in_words(shape) + ".";
    for (auto at = words.find("; "); at != std::string::npos; at = words.find("; ", at))
        words.replace(at, 2, ";\n    ");
    const std::string compress = filled(
        without_line_end(torch_files().at(waits ? "cut_model.py" : "cut_layers.py")),
        {{"@BLOCKS@", blocks_of("scores", shape)}, {"@BLOCKS_OF_LAYER@", blocks_of("self.scores_of(layer)", shape)}});
    return filled(
        torch_files().at("shaped_press.py"),
        {{"@SHAPE@",
          fmt::format("BLOCK, SINKS, RECENT = {}, {}, {}  # tokens", shape.block, shape.sinks, shape.recent)},
         {"@WORDS@", words},
         {"@ARGUMENT@", cut.keep ? "" : "compression_ratio=0.5"},
         {"@NUMBER@", cut.keep ? fmt::format("{}", *cut.keep) : "None"},
         {"@FIELDS@\n", waits ? "    waiting: list[tuple[Any, Tensor, int]] = field(default_factory=list, init=False, "
                                "repr=False)  # scored layers\n"
                              : ""},
         {"@CUT@", compress}});
}

} // namespace

std::string press_class(std::string_view name) { return struct_name(name) + "Press"; }

std::string kvpress_press(const Champion& champion, std::string_view version, const PressCut& cut) {
    const bool usual = cut.shape.usual() && !cut.keep;
    const std::string frame = usual ? std::string(torch_files().at("press.py")) : shaped_press(cut);
    const TorchFormula torch = torch_formula(champion, 8, usual ? "" : frame);
    std::string columns;
    for (const auto& [variable, call] : torch.columns) columns += fmt::format("        {} = {}\n", variable.name, call);
    const std::string body = filled(frame, {{"@CONSTANTS@\n", torch.constants},
                                            {"@PROMPT@\n", prompt_text()},
                                            {"@FUNCTIONS@\n", torch.functions},
                                            {"@CLASS@", press_class(champion.name)},
                                            {"@COLUMNS@\n", columns},
                                            {"@SCORES@", torch.expression}});
    return provenance_comment(champion, version, "# ") +
           fmt::format("# formula     {}\n", formula::print(champion.formula)) +
           (usual ? "" : fmt::format("# shape       {}\n", in_words(cut.shape))) +
           "# A press of NVIDIA's kvpress 0.5.5: pip install kvpress==0.5.5\n" + licence_line(champion, false, "# ") +
           filled(body, {{"@IMPORTS@\n", torch_imports(body)}});
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
