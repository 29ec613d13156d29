// SPDX-License-Identifier: MIT
#include "export/torch_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "export/expression.hpp"

namespace evictlab::exporting {
namespace {

constexpr std::string_view refused = "# refused: ";

std::string column_file(ColumnId column) { return fmt::format("columns/{}.py", columns::info(column).name); }

/// What stands in every press: the rest of prompt/ is a part, as columns need it.
constexpr std::string_view always[] = {"prompt/seen.py", "prompt/question.py", "prompt/layer.py", "prompt/cache.py",
                                       "prompt/press.py"};

bool is_piece(std::string_view file) {
    return file.find('/') != std::string_view::npos && std::ranges::find(always, file) == std::end(always);
}

/// The name by which columns and other pieces use a file.
std::string defined_name(std::string_view file) {
    if (file == "prompt/rope.py") return "found_rope";
    if (file == "prompt/rotation.py") return "Rope";
    const std::string stem = std::filesystem::path(file).stem().string();
    return file.starts_with("columns/") ? "column_" + stem : stem;
}

std::string argument(std::string_view part) {
    const bool number = part[0] >= '0' && part[0] <= '9';
    const auto equals = part.find('=');
    if (!number && equals == std::string_view::npos) return fmt::format("{}=True", part);
    const std::size_t digits = number ? 0 : equals + 1;
    // Python takes no leading zeros.
    const std::size_t first = std::min(part.find_first_not_of('0', digits), part.size() - 1);
    return fmt::format("{}{}", part.substr(0, digits), part.substr(first));
}

void add_functions(std::string_view text, std::set<std::string_view>& seen, std::vector<std::string_view>& found) {
    for (const auto& [file, content] : torch_files()) {
        if (!is_piece(file) || seen.contains(file) || !mentions(text, defined_name(file))) continue;
        seen.insert(file);
        add_functions(content, seen, found);
        found.push_back(content);
    }
}

} // namespace

std::string torch_refusal(ColumnId column) {
    if (const auto base = columns::base(column))
        if (std::string why = torch_refusal(*base); !why.empty()) return why;
    const auto file = torch_files().find(column_file(column));
    if (file == torch_files().end())
        return fmt::format("it has no PyTorch form yet; export/torch/{} is the place for it", column_file(column));
    if (!file->second.starts_with(refused)) return "";
    const std::string_view reason = file->second.substr(refused.size());
    return std::string(reason.substr(0, reason.find('\n')));
}

std::string torch_call(ColumnId column) {
    std::string text = fmt::format("column_{}(layer", columns::info(column).name);
    if (const auto base = columns::base(column)) return fmt::format("{}, {})", text, torch_call(*base));
    std::string_view rest = columns::name(column);
    rest.remove_prefix(std::min(rest.size(), columns::info(column).name.size() + 1));
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        text += ", " + argument(rest.substr(0, end));
        rest.remove_prefix(std::min(rest.size(), end + 1));
    }
    return text + ")";
}

std::vector<std::string_view> torch_prompt() {
    std::vector<std::string_view> found;
    for (const std::string_view file : always) found.push_back(torch_files().at(file));
    return found;
}

std::vector<std::string_view> torch_functions(std::string_view text) {
    std::set<std::string_view> seen;
    std::vector<std::string_view> found;
    add_functions(text, seen, found);
    return found;
}

} // namespace evictlab::exporting
