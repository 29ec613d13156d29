// SPDX-License-Identifier: MIT
#include "export/torch_formula.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "base/error.hpp"
#include "base/json/json.hpp"
#include "export/torch_pieces.hpp"

namespace evictlab::exporting {
namespace {

Language torch(const std::vector<Variable>& variables) {
    Language language;
    language.column = [&variables](ColumnId id) { return name_of(variables, id); };
    language.keep = "KEEP";
    language.drop = "DROP";
    language.not_a_number = "float(\"nan\")";
    language.exp = "torch.exp";
    language.abs = "torch.abs";
    language.tanh = "torch.tanh";
    language.choice = [](Layout condition, Layout a, Layout b) {
        return call("choose", {std::move(condition), std::move(a), std::move(b)});
    };
    language.truth = [](Layout comparison) {
        Layout number = parenthesised(std::move(comparison));
        number.close = ").to(EXACT)";
        return number;
    };
    language.known_power = [](const Layout& base, double exponent) {
        return exponent == 1 ? std::optional<Layout>(base) : std::nullopt;
    };
    return language;
}

struct Import {
    std::string_view module, name;
};

/// In the order in which Python's formatters have them. An empty name is that of a whole module.
constexpr Import imports[] = {{"copy", ""},
                              {"warnings", ""},
                              {"collections.abc", "Callable"},
                              {"collections.abc", "Iterator"},
                              {"contextvars", "ContextVar"},
                              {"dataclasses", "dataclass"},
                              {"dataclasses", "field"},
                              {"functools", "wraps"},
                              {"hashlib", "sha256"},
                              {"pathlib", "Path"},
                              {"typing", "Any"},
                              {"weakref", "WeakKeyDictionary"},
                              {"", ""},
                              {"torch", ""},
                              {"kvpress", "ScorerPress"},
                              {"kvpress.presses.base_press", "is_prefilling"},
                              {"kvpress.utils", "compute_n_kept"},
                              {"safetensors.torch", "load as load_safetensors"},
                              {"torch", "Tensor"},
                              {"torch.nn", "functional"},
                              {"transformers", "DynamicCache"},
                              {"transformers", "QuantizedCache"},
                              {"transformers.modeling_utils", "ALL_ATTENTION_FUNCTIONS"}};

/// The constants, and the functions with two empty lines around each.
std::pair<std::string, std::string> definitions_for(std::string_view text) {
    std::pair<std::string, std::string> definitions;
    if (mentions(text, "KEEP")) definitions.first += "KEEP = float(\"inf\")\n";
    definitions.first += "DROP = float(\"-inf\")\n";
    for (const std::string_view piece : torch_functions(text)) {
        const bool function = piece.starts_with("def ") || piece.starts_with('@');
        (function ? definitions.second : definitions.first) +=
            fmt::format("{}\n{}", without_line_end(piece), function ? "\n\n" : "");
    }
    return definitions;
}

/// The lines by which the press finds the calibration that its columns read; "" where none does.
std::string calibration_constants(const Champion& champion, const std::vector<Variable>& variables) {
    const auto reads = std::ranges::find_if(
        variables, [](const Variable& each) { return columns::needs(each.column) == ColumnNeeds::calibration; });
    if (reads == variables.end()) return "";
    const std::string& name = columns::name(reads->column);
    if (!champion.calibration)
        throw UsageError(
            fmt::format("the formula uses the column '{}', which reads a calibration of the model: name it "
                        "by --calibration FILE; evictlab-calibrate makes one",
                        name));
    const Calibration& read = *champion.calibration;
    for (const auto& [id, variable] : variables)
        if (columns::needs(id) == ColumnNeeds::calibration)
            if (const std::string absent = columns::absent(id, read); !absent.empty()) throw UsageError(absent);
    return fmt::format(
        "CALIBRATION_FILE = {}\nCALIBRATION_SHA256 = \"{}\"  # {} layers of {}\nCALIBRATION_LAYERS = {}\n",
        Json(std::filesystem::absolute(read.file).string()).dump(-1, ' ', true), read.sha256, read.layers.size(),
        read.num_layers, read.num_layers);
}

/// The entropy of all attention first: it gives the sums that others are made of by the way.
std::vector<Variable> in_order_of_reading(std::vector<Variable> variables) {
    std::ranges::stable_partition(variables, [](const Variable& each) {
        ColumnId column = each.column;
        while (const auto base = columns::base(column)) column = *base;
        return columns::info(column).name == "attn_entropy";
    });
    return variables;
}

/// The scores for a line `    scores = ` that begins at column `before`.
std::string expression_of(const Term& term, const std::vector<Variable>& variables, std::size_t before,
                          std::size_t indent) {
    Layout scores = lay_out(term, torch(variables));
    if (variables.empty()) scores = call("layer.number", {std::move(scores)});
    std::string text = write(scores, before, indent, Commas::trailing);
    if (text.find('\n') != std::string::npos && scores.close.empty()) // Python ends lines at their end
        text = write(parenthesised(std::move(scores)), before, indent, Commas::trailing);
    return text;
}

/// CPython's tokenizer ends there (MAXLEVEL in Parser/tokenizer.c).
constexpr std::size_t deepest_python = 200;

std::string too_deep(std::string_view expression) {
    std::size_t depth = 0, deepest = 0;
    for (const char sign : expression) {
        if (sign == '(' || sign == '[') deepest = std::max(deepest, ++depth);
        if (sign == ')' || sign == ']') --depth;
    }
    if (deepest < deepest_python) return "";
    return fmt::format("nests {} parentheses in Python, which reads {} at most; --to cpp-plugin can have it", deepest,
                       deepest_python - 1);
}

constexpr std::size_t usual_indent = 4;
constexpr std::string_view assigned = "scores = ";

} // namespace

std::string torch_imports(std::string_view text) {
    std::string lines;
    std::string_view last;
    for (const Import& each : imports) {
        if (each.module.empty()) {
            lines += "\n";
        } else if (each.name.empty()) {
            lines += fmt::format("import {}\n", each.module);
        } else if (mentions(text, each.name.substr(each.name.rfind(' ') + 1))) {
            if (last == each.module)
                lines.insert(lines.size() - 1, fmt::format(", {}", each.name));
            else
                lines += fmt::format("from {} import {}\n", each.module, each.name);
            last = each.module;
        }
    }
    return lines;
}

std::string_view without_line_end(std::string_view text) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    return text;
}

std::string torch_refusal(const formula::Formula& formula) {
    const Term term = folded(formula);
    const std::vector<Variable> variables = variables_of(term);
    for (const auto& [id, variable] : variables)
        if (const std::string why = torch_refusal(id); !why.empty())
            return fmt::format("uses the column '{}', which it cannot have: {}", columns::name(id), why);
    return too_deep(expression_of(term, variables, usual_indent + assigned.size(), usual_indent));
}

TorchFormula torch_formula(const Champion& champion, std::size_t indent, std::string_view around) {
    if (const std::string why = torch_refusal(champion.formula); !why.empty())
        throw UsageError(fmt::format("a kvpress press cannot be made of the formula: it {}", why));
    const Term term = folded(champion.formula);
    const std::vector<Variable> variables = variables_of(term);
    TorchFormula found;
    std::string text;
    for (const Variable& variable : in_order_of_reading(variables)) {
        text += found.columns.emplace_back(variable, torch_call(variable.column)).second;
        text += '\n';
    }
    found.expression = expression_of(term, variables, indent + assigned.size(), indent);
    const std::string calibration = calibration_constants(champion, variables);
    text += fmt::format("{}\n{}", found.expression, around);
    std::tie(found.constants, found.functions) = definitions_for(text);
    found.constants += calibration;
    return found;
}

} // namespace evictlab::exporting
