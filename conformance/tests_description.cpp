// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "conformance/tests.hpp"
#include "framework/formula/formula.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/loaded_library.hpp"
#include "framework/scorers/name.hpp"

namespace evictlab::conformance {
namespace {

constexpr std::size_t longest_line = 200;

/// What is wrong with a text for people, or nothing.
std::string defect(const std::string& text) {
    if (text.empty()) return "is empty";
    if (text.find('\n') != std::string::npos) return "has more than one line";
    if (text.size() > longest_line) return fmt::format("has {} bytes, more than {}", text.size(), longest_line);
    return {};
}

} // namespace

Finding library(const Subject& subject) {
    if (const std::string wrong = subject.library->defect(); !wrong.empty()) return failed(wrong);
    subject.process->calling();
    load_library(*subject.library);
    return passed();
}

Finding symbol(const Subject& subject) {
    subject.process->calling();
    return load_library(*subject.library)->has(EVL_SYMBOL) ? passed() : failed("there is no symbol " EVL_SYMBOL);
}

Finding header(const Subject& subject) {
    const evl_plugin& plugin = subject.exported();
    if (plugin.magic != EVL_MAGIC) return failed(fmt::format("the magic number is {:#x}", plugin.magic));
    if (plugin.abi_major != EVL_ABI_MAJOR)
        return failed(fmt::format("it is of ABI {}.{}", plugin.abi_major, plugin.abi_minor));
    if (plugin.struct_size > 1 << 20) return failed(fmt::format("struct_size is {}", plugin.struct_size));
    if (plugin.abi_minor > EVL_ABI_MINOR)
        return warned(
            fmt::format("it is of ABI {}.{}: what is new there is not looked at", plugin.abi_major, plugin.abi_minor));
    return passed();
}

Finding descriptor(const Subject& subject) {
    subject.rules();
    return passed();
}

Finding version(const Subject& subject) {
    static const std::regex semantic(
        R"((0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)");
    const std::string text = subject.rules()[0]->version();
    return std::regex_match(text, semantic) ? passed() : failed(fmt::format("its version is '{}'", text));
}

Finding texts(const Subject& subject) {
    for (const auto& rule : subject.rules()) {
        const auto wrong = [&](const std::string& what, const std::string& text) -> std::string {
            const std::string found = defect(text);
            return found.empty() ? "" : fmt::format("{}'s {} {}", rule->id(), what, found);
        };
        std::string found = wrong("name", rule->name());
        if (found.empty()) found = wrong("description", rule->description());
        for (const Parameter& parameter : rule->parameters())
            if (found.empty()) found = wrong(fmt::format("help of parameter '{}'", parameter.key), parameter.help);
        for (const Preset& preset : rule->presets())
            if (found.empty()) found = wrong(fmt::format("help of preset '{}'", preset.name), preset.help);
        if (!found.empty()) return warned(found);
    }
    return passed();
}

namespace {

void check_formula(const std::string& of, const std::string& text) {
    try {
        if (!text.empty()) (void)formula::parse(text);
    } catch (const UsageError& error) {
        throw Error(fmt::format("the formula of {}: {}", of, error.what()));
    }
}

void check_bases(const Plugin& rule, const Preset& preset) {
    if (preset.bases.empty()) return;
    if (!rule.wrapper()) throw Error(fmt::format("preset '{}' has bases, but is no wrapper's", preset.name));
    for (const std::string& base : split_scorer_list(preset.bases)) {
        const ScorerName name = parse_scorer_name(base);
        if (!is_identifier(name.id))
            throw Error(fmt::format("bases of preset '{}': '{}' is no plugin's id", preset.name, base));
        if (name.id == rule.id()) throw Error(fmt::format("bases of preset '{}': '{}' is itself", preset.name, base));
    }
}

} // namespace

Finding standing(const Subject& subject) {
    try {
        for (const auto& rule : subject.rules()) {
            check_formula("the defaults", rule->formula());
            for (const Preset& preset : rule->presets()) {
                check_formula(fmt::format("preset '{}'", preset.name), preset.formula);
                check_bases(*rule, preset);
                if (preset.published() && rule->reference().empty())
                    return failed(fmt::format("preset '{}' is published, but the reference is empty", preset.name));
            }
        }
    } catch (const PluginError&) {
        throw;
    } catch (const Error& error) {
        return failed(error.what());
    }
    return passed();
}

Finding columns_known(const Subject& subject) {
    return for_each_setting(subject, [](const Setting& setting) {
        const ColumnList columns = setting.rule->columns(setting.values); // throws for one that there is not
        std::vector<ColumnId> ids(columns.begin(), columns.end());
        std::ranges::sort(ids);
        const auto twice = std::ranges::adjacent_find(ids);
        if (twice == ids.end()) return passed();
        return warned(fmt::format("declares the column '{}' twice",
                                  *twice == base_score_id ? base_score_column : columns::name(*twice)));
    });
}

Finding unknown_extension(const Subject& subject) {
    for (const evl_plugin* rule = &subject.exported(); rule;) {
        const auto plugin = common_prefix<evl_plugin>(rule, rule->struct_size);
        subject.process->calling();
        if (plugin.extension && plugin.extension("evictlab.no_such_extension/1"))
            return failed("extension() gives something for the id 'evictlab.no_such_extension/1'");
        rule = plugin.variant;
    }
    return passed();
}

} // namespace evictlab::conformance
