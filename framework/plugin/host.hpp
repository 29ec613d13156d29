// The plugin host: finds scorer libraries, checks them against the contract (evictlab/scorer.h), loads them with
// Boost.DLL and makes instances.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/columns/column.hpp"
#include "framework/error.hpp"

namespace evictlab {

/// A plugin broke the contract. what() names plugin, phase and cause.
struct PluginError : Error {
    PluginError(std::string_view plugin, std::string_view phase, std::string_view cause);
    std::string plugin, phase, cause; ///< phase: find, load, create, score, budget
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
};

class ScorerInstance;

/// What a wrapper declares for the scores of the scorer that it wraps. No suite gives it, so it is no column of the
/// registry.
inline constexpr std::string_view base_score_column = "base_score";
inline constexpr ColumnId base_score_id = static_cast<ColumnId>(-1);

/// One rule of a loaded library, checked once. Immutable and thread-safe; keeps the library loaded as long as it or an
/// instance lives.
class Plugin : public std::enable_shared_from_this<Plugin> {
public:
    /// Throws PluginError (phase "load") for whatever is wrong with the file or its descriptor.
    static std::shared_ptr<const Plugin> load(const std::filesystem::path& file);

    const std::string& id() const;
    const std::string& name() const;
    const std::string& version() const;
    const std::string& description() const;
    const std::string& reference() const;
    const std::filesystem::path& file() const;
    const std::string& file_sha256() const; ///< content of the library, computed when first asked for; "" if it is gone
    bool deterministic() const;
    bool concurrent() const;
    bool budgeted() const;       ///< scores depend on the budget: EVL_BUDGETED
    bool wants_tensors() const;  ///< EVL_TENSORS
    bool wrapper() const;        ///< scores over another scorer's scores
    bool budgets_layers() const; ///< has the extension EVL_LAYER_BUDGET
    bool budgets_heads() const;  ///< has the extension EVL_HEAD_BUDGETS
    std::uint64_t tensor_window() const;
    std::span<const std::string> column_patterns() const; ///< as declared: `window_attn:{window}`
    /// For these values of the parameters, in the order declared; base_score_id where a wrapper wants the base's
    /// scores. Throws UsageError where the values make a column's name that there is not.
    std::vector<ColumnId> columns(std::span<const double> values) const;
    std::vector<double> default_values() const;
    std::vector<ColumnId> columns() const { return columns(default_values()); }
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
    friend class ScorerInstance;
};

/// One created scorer. score() may be called from several threads only if the plugin is concurrent().
class ScorerInstance {
public:
    ~ScorerInstance();
    ScorerInstance(const ScorerInstance&) = delete;
    ScorerInstance& operator=(const ScorerInstance&) = delete;
    /// Writes [heads][tokens] scores; batch.columns in the order of plugin().columns(). Throws PluginError (phase
    /// "score"): a failing status with its text, or an exception that escaped. NaN is looked for by the caller, who
    /// ranks.
    void score(const evl_batch& batch, double* scores) const;
    /// Of a plugin that budgets_layers() or budgets_heads(). Throws PluginError (phase "budget"), also for more tokens
    /// than there are.
    std::size_t layer_budget(const evl_budget_query& query) const;
    void head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const;
    const Plugin& plugin() const { return *plugin_; }

private:
    friend class Plugin;
    ScorerInstance(std::shared_ptr<const Plugin> plugin, evl_instance* instance);
    std::shared_ptr<const Plugin> plugin_;
    evl_instance* instance_;
};

/// All plugins of the search path: `--plugin-dir` folders in order, EVICTLAB_PLUGIN_PATH (':'-separated), the build's
/// or installation's own folder; of two with one id the first is used. What cannot be used, file or folder, does not
/// stop the others: its error is kept in problems(). Not thread-safe while load() is called.
class PluginHost {
public:
    explicit PluginHost(std::span<const std::filesystem::path> plugin_dirs = {});
    std::span<const std::shared_ptr<const Plugin>> plugins() const { return plugins_; } ///< sorted by id
    std::span<const PluginError> problems() const { return problems_; }
    /// Null where no plugin has that id.
    std::shared_ptr<const Plugin> find(std::string_view id) const;
    /// Loads one more library by path (or gives the one already loaded from there). Throws PluginError, also for an id
    /// that another file has taken.
    std::shared_ptr<const Plugin> load(const std::filesystem::path& file);
    /// The folders that were searched, in order.
    std::span<const std::filesystem::path> folders() const { return folders_; }

private:
    void search(const std::filesystem::path& folder);
    std::shared_ptr<const Plugin> loaded_from(const std::filesystem::path& file) const;
    void add(std::shared_ptr<const Plugin> plugin);

    std::vector<std::filesystem::path> folders_;
    std::vector<std::shared_ptr<const Plugin>> plugins_;
    std::vector<PluginError> problems_;
};

/// Where the program's own plugins lie, from the place of its file, or of libevictlab's (so an installation can be
/// moved):
/// ../lib/evictlab/plugins in an installation, ../plugins in a build.
std::filesystem::path builtin_plugin_folder();

} // namespace evictlab
