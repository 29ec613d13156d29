// A scorer: a plugin with chosen parameters, or a formula, made from what a person types.
// SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/formula/program.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab {

/// Immutable; safe to share between threads.
class Scorer {
public:
    static Scorer from_plugin(std::string label, std::shared_ptr<const Plugin> plugin, std::vector<double> values);
    static Scorer from_formula(std::string label, formula::Formula formula);

    const std::string& label() const { return label_; } ///< as typed: `h2o@seed`
    bool is_formula() const { return program_.has_value(); }
    const formula::Formula& formula() const { return formula_; } ///< of a formula scorer
    const formula::Program& program() const { return *program_; }
    const std::shared_ptr<const Plugin>& plugin() const { return plugin_; } ///< null for a formula
    std::span<const double> values() const { return values_; }
    std::span<const ColumnId> columns() const;

private:
    std::string label_;
    formula::Formula formula_;
    std::optional<formula::Program> program_;
    std::shared_ptr<const Plugin> plugin_;
    std::vector<double> values_;
};

/// `id`, `id@preset`, `id:param=value,...`, `id@preset:param=value,...`, a path to a `.so`, a path to a `.formula`
/// file, or `=EXPRESSION`. Throws UsageError (unknown id, preset, parameter, value out of range: each with what there
/// is) or PluginError.
Scorer make_scorer(std::string_view text, PluginHost& host);

/// Splits `a,b:x=1,y=2,max(1,2)` at the commas between scorers: not inside parentheses, and not before `key=value`.
std::vector<std::string> split_scorer_list(std::string_view text);

/// Every built-in and found plugin, one scorer each: its `seed` preset where it has one, else its defaults.
std::vector<Scorer> all_scorers(const PluginHost& host);

} // namespace evictlab
