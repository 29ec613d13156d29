// A scorer: a plugin with chosen parameters, or a formula, made from what a person types.
// SPDX-License-Identifier: MIT
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/formula/program.hpp"
#include "framework/plugin/host.hpp"
#include "framework/scorers/name.hpp"

namespace evictlab {

/// Immutable; safe to share between threads. The ids of a plugin's columns hold as long as a copy of its scorer does.
class Scorer {
public:
    static Scorer from_plugin(std::string label, std::shared_ptr<const Plugin> plugin, std::vector<double> values);
    static Scorer from_formula(std::string label, formula::Formula formula);
    /// A wrapper over the scorer `base`: `label` without it. Throws UsageError where the base has budgets for heads or
    /// for the whole model.
    static Scorer from_wrapper(std::string label, std::shared_ptr<const Plugin> plugin, std::vector<double> values,
                               Scorer base);

    const std::string& label() const { return label_; } ///< as typed: `h2o@seed`, `adakv@kvpress(snapkv@kvpress)`
    bool is_formula() const { return program_.has_value(); }
    const formula::Formula& formula() const { return formula_; } ///< of a formula scorer
    const formula::Program& program() const { return *program_; }
    const std::shared_ptr<const Plugin>& plugin() const { return plugin_; } ///< null for a formula
    std::span<const double> values() const { return values_; }
    const Scorer* base() const { return base_.get(); } ///< of a wrapper, else null
    /// What it needs to be given, the base's columns included; for scorers without a base in the order of
    /// own_columns().
    std::span<const ColumnId> columns() const { return columns_; }
    /// Those of the plugin or formula itself, in its order; base_score_id among a wrapper's.
    std::span<const ColumnId> own_columns() const { return own_columns_; }
    bool budgeted() const;      ///< scores depend on the budget, its own or its base's
    bool allocates() const;     ///< budgets of its own for layers, heads or the whole model, or its base's for
                                ///< layers, if it goes by those
    bool needs_model() const;   ///< it must see all layers of a model before any of them is cut
    bool has_threshold() const; ///< in place of a budget
    /// Of a scorer with one: what is below goes, when this share is asked to. Of one that is matched() the one that was
    /// found for it; throws Error where none was.
    double threshold(double removed_fraction) const;
    std::size_t window() const; ///< of a scorer with a threshold: newest tokens that stay
    /// Whether its threshold is to be found on a suite's train split, and whether it was.
    bool matched() const { return matched_; }
    bool unmatched() const { return matched_ && thresholds_.empty(); }
    /// The same, matched(), with what was found for each removed fraction; with nothing: unmatched().
    Scorer with_thresholds(std::map<double, double> thresholds) const;
    bool wants_tensors() const;          ///< it or its base
    std::uint64_t tensor_window() const; ///< the longer one of both
    /// Of a calibration, that it or its base asks for.
    std::vector<std::string> tables() const;
    bool reads_calibration() const; ///< tables, or a column of it

private:
    std::string label_;
    formula::Formula formula_;
    std::optional<formula::Program> program_;
    std::shared_ptr<const Plugin> plugin_;
    std::vector<double> values_;
    std::shared_ptr<const Scorer> base_;
    bool matched_ = false;
    std::map<double, double> thresholds_; ///< by removed fraction, once they were found
    ColumnList held_; ///< a plugin's own columns: their ids hold as long as a copy of the scorer lives
    std::vector<ColumnId> own_columns_, columns_;
};

/// `id`, `id@preset`, `id:param=value,...`, `id@preset:param=value,...`, a path to a `.so`, a path to a `.formula`
/// file, `=EXPRESSION`, or a wrapper over any of these: `id@preset:param=value,...(SCORER)`. Throws UsageError (unknown
/// id, preset, parameter, value out of range: each with what there is; a wrapper alone) or PluginError.
Scorer make_scorer(std::string_view text, PluginHost& host);

/// Why the protocol rescore cannot run the scorer ("scores for a budget, which ..."): a wrapper, or one that wants a
/// budget or tensors. Else "".
std::string refusal_by_rescore(const Scorer& scorer);

/// Every found plugin that runs under `rescore`, one scorer each: its `seed` preset where it has one, else its
/// defaults. Plugins that only have published presets are left out.
std::vector<Scorer> all_scorers(const PluginHost& host);

/// For one-shot eviction at the end of a prompt: every preset that its plugin lists, of all rules of every plugin;
/// plugins without a published one by their defaults; and wrappers' presets over the bases that they name, as far as
/// those are there.
std::vector<Scorer> all_prefill_scorers(PluginHost& host);

} // namespace evictlab
