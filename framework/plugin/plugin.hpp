// A scorer plugin and its instances, wherever its code runs.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "framework/columns/column.hpp"

namespace evictlab {

/// Whose doing it is that a plugin has no answer.
enum class Blame : std::uint8_t {
    plugin,  ///< it broke the contract, and would again
    outside, ///< its processes were killed, stopped, starved or could not be started: that says nothing of the plugin
};

/// In which a plugin can break.
inline constexpr std::array<std::string_view, 7> phase_names{"find",   "load",  "create", "score",
                                                             "budget", "check", "destroy"};

/// A plugin has no answer. what() names plugin, phase and cause.
struct PluginError : Error {
    PluginError(std::string_view plugin, std::string_view phase, std::string_view cause, Blame blame = Blame::plugin);
    std::string plugin, phase, cause; ///< phase: one of phase_names
    Blame blame;
};

struct Parameter {
    std::string key, label, help;
    evl_param_type type = EVL_REAL;
    double min = 0, max = 0, default_value = 0;
    bool log_scale = false, evolvable = false;
};

struct Preset {
    std::string name, help;
    std::vector<double> values; ///< one for each parameter
    std::uint64_t flags = 0;    ///< EVL_PRESET_...; unknown ones are kept
    std::string bases{};        ///< of a wrapper: the list of scorers that `all` shows it over
    std::string formula{};      ///< with the same scores; "" where none is known. Nothing has checked it

    bool published() const { return (flags & EVL_PRESET_PUBLISHED) != 0; }
    bool listed() const { return (flags & EVL_PRESET_LISTED) != 0; }
    bool simplified() const { return (flags & EVL_PRESET_SIMPLIFIED) != 0; }
    bool matched() const { return (flags & EVL_PRESET_MATCHED) != 0; }
};

/// Of a plugin without budget, EVL_THRESHOLD: places among its parameters.
struct ThresholdRule {
    std::size_t threshold = 0, window = 0;
    bool operator==(const ThresholdRule&) const = default;
};

/// What a wrapper declares for the scores of the scorer that it wraps. No suite gives it, so it is no column of the
/// registry.
inline constexpr std::string_view base_score_column = "base_score";
inline constexpr ColumnId base_score_id = static_cast<ColumnId>(-1);

class Plugin;
class ScorerInstance;

/// Where a plugin's code runs: in this process, or in others (the module isolation). Thread-safe.
class PluginBackend {
public:
    virtual ~PluginBackend() = default;
    /// An instance of the rule. Throws PluginError (phase "create").
    virtual std::unique_ptr<ScorerInstance> create(std::shared_ptr<const Plugin> rule,
                                                   std::span<const double> values) const = 0;
    /// Where it runs, in words.
    virtual std::string_view place() const = 0;
};

struct Descriptor;
class SealedLibrary;

/// One rule of a library, checked once. Immutable and thread-safe; keeps the library loaded as long as it or an
/// instance lives.
class Plugin : public std::enable_shared_from_this<Plugin> {
public:
    /// Loads the library into this process, from a sealed copy of the file. Throws PluginError (phase "load") for
    /// whatever is wrong with the file or its descriptor.
    static std::shared_ptr<const Plugin> load(const std::filesystem::path& file);
    static std::shared_ptr<const Plugin> load_sealed(std::shared_ptr<const SealedLibrary> library);
    /// The rules of a library whose descriptors were read and checked, each with the backend that runs it: the first,
    /// which holds the others.
    struct Rule;
    static std::shared_ptr<const Plugin> of(std::shared_ptr<const SealedLibrary> library, std::vector<Rule> rules);

    const std::string& id() const;
    const std::string& name() const;
    const std::string& version() const;
    const std::string& description() const;
    const std::string& reference() const;
    const std::string& formula() const; ///< as Preset::formula, of the default values
    const std::filesystem::path& file() const;
    std::string_view place() const;         ///< where its code runs, in words
    std::string label() const;              ///< id and file, as PluginError::plugin has them
    const std::string& file_sha256() const; ///< of the bytes that were loaded, computed when first asked for
    bool deterministic() const;
    bool concurrent() const;
    bool budgeted() const;                          ///< scores depend on the budget: EVL_BUDGETED
    bool wants_tensors() const;                     ///< EVL_TENSORS
    bool wrapper() const;                           ///< scores over another scorer's scores
    bool equal_layers() const;                      ///< EVL_EQUAL_LAYERS
    bool budgets_layers() const;                    ///< has the extension EVL_LAYER_BUDGET
    bool budgets_heads() const;                     ///< has the extension EVL_HEAD_BUDGETS
    bool budgets_model() const;                     ///< has the extension EVL_MODEL_BUDGETS
    std::size_t model_facts() const;                ///< of that: evl_model_budgets::facts
    bool scores_model() const;                      ///< has the extension EVL_MODEL_SCORES
    std::optional<ThresholdRule> threshold() const; ///< of the extension EVL_THRESHOLD
    std::uint64_t tensor_window() const;
    std::span<const std::string> tables() const;          ///< of a calibration, in the order declared
    std::span<const std::string> column_patterns() const; ///< as declared: `window_attn:{window}`
    /// For these values of the parameters, in the order declared; base_score_id where a wrapper wants the base's
    /// scores. Throws UsageError where the values make a column's name that there is not.
    ColumnList columns(std::span<const double> values) const;
    std::vector<double> default_values() const;
    ColumnList columns() const { return columns(default_values()); }
    std::span<const Parameter> parameters() const;
    std::span<const Preset> presets() const;
    const Preset* preset(std::string_view name) const; ///< null where there is none
    /// This rule, and behind the library's first one the others under its id, of which a preset's name chooses.
    std::vector<std::shared_ptr<const Plugin>> rules() const;

    /// One value for each parameter, in range (make_scorer checks what a person types). Throws PluginError (phase
    /// "create"): a failing status with its text, an exception that escaped, or success without an instance.
    std::unique_ptr<ScorerInstance> create(std::span<const double> values) const;

    ~Plugin();

private:
    Plugin();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Where several queues find the columns of the same rows, so that each is copied once. Not thread-safe.
class SharedRows {
public:
    virtual ~SharedRows() = default;
    /// These stay as they are for as long as this lives: columns that lie in them are copied once, not once a row.
    /// Called before the first batch is added.
    virtual void hold(std::span<const double> values) = 0;
    /// The batches that are added from now on are of another row: equal pointers mean other values.
    virtual void next_row() = 0;
    /// Forgets all rows, but not what hold() was given. No queue may hold a batch.
    virtual void clear() = 0;
};

/// Scores many batches at once, for instances to which each call costs much. Not thread-safe. One after another:
/// add() as often as wanted, start(), finish(), then scores() of each, clear().
class BatchQueue {
public:
    virtual ~BatchQueue() = default;
    /// Copies the batch, columns and all.
    virtual void add(const evl_batch& batch) = 0;
    /// Sets off the scoring of what was added, in order, and does not wait for it.
    virtual void start() = 0;
    /// Waits for it. Throws PluginError, as ScorerInstance::score().
    virtual void finish() = 0;
    /// Copies the [heads][tokens] scores of the batch that was added as number `index`.
    virtual void scores(std::size_t index, double* scores) const = 0;
    virtual void clear() = 0;
};

/// One created scorer. Several threads may call it at once only if the plugin is concurrent().
class ScorerInstance {
public:
    explicit ScorerInstance(std::shared_ptr<const Plugin> plugin) : plugin_(std::move(plugin)) {}
    virtual ~ScorerInstance() = default; ///< ends it, if end() did not, and tells nobody what went wrong in that
    ScorerInstance(const ScorerInstance&) = delete;
    ScorerInstance& operator=(const ScorerInstance&) = delete;
    /// Writes [heads][tokens] scores; batch.columns in the order of plugin().columns(). Throws PluginError (phase
    /// "score"): a failing status with its text, or an exception that escaped. NaN is looked for by the caller, who
    /// ranks.
    virtual void score(const evl_batch& batch, double* scores) const = 0;
    /// Of a plugin that budgets_layers(), budgets_heads() or budgets_model(). Throw PluginError (phase "budget"), also
    /// for more tokens than there are and for facts that are NaN.
    virtual std::size_t layer_budget(const evl_budget_query& query) const = 0;
    virtual void head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const = 0;
    virtual void layer_facts(const evl_batch& batch, const double* scores, std::span<double> facts) const = 0;
    virtual void model_budgets(const evl_model_query& query, std::span<std::uint64_t> kept) const = 0;
    /// Of a plugin that scores_model(). Throws PluginError (phase "score"); NaN as with score().
    virtual void model_scores(const evl_model_query& query, std::span<double* const> scores) const = 0;
    /// A queue of the calling thread's, which must not outlive the instance; null where nothing is gained by one.
    /// `rows`: what the queues of one thread share; the first queue that can share makes it. Throws as score().
    virtual std::unique_ptr<BatchQueue> queue([[maybe_unused]] std::shared_ptr<SharedRows>& rows) const {
        return nullptr;
    }
    /// Ends it, after which only the destructor may be called. Throws PluginError (phase "destroy").
    virtual void end() = 0;
    const Plugin& plugin() const { return *plugin_; }

private:
    std::shared_ptr<const Plugin> plugin_;
};

} // namespace evictlab
