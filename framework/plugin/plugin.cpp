// What a plugin says of itself. SPDX-License-Identifier: MIT
#include "framework/plugin/plugin.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/sealed_library.hpp"

namespace evictlab {

PluginError::PluginError(std::string_view plugin_, std::string_view phase_, std::string_view cause_, Blame blame_)
    : Error(fmt::format("plugin {}: {}: {}", plugin_, phase_, cause_)), plugin(plugin_), phase(phase_), cause(cause_),
      blame(blame_) {}

struct Plugin::Impl {
    std::shared_ptr<const SealedLibrary> library;
    Descriptor descriptor;
    std::shared_ptr<const PluginBackend> backend;
    std::vector<std::shared_ptr<const Plugin>> variants;
};

Plugin::Plugin() : impl_(std::make_unique<Impl>()) {}
Plugin::~Plugin() = default;

std::shared_ptr<const Plugin> Plugin::of(std::shared_ptr<const SealedLibrary> library, std::vector<Rule> rules) {
    std::vector<std::shared_ptr<Plugin>> made;
    for (Rule& rule : rules) {
        const auto& plugin = made.emplace_back(new Plugin);
        plugin->impl_->library = library;
        plugin->impl_->descriptor = std::move(rule.descriptor);
        plugin->impl_->backend = std::move(rule.backend);
    }
    made[0]->impl_->variants.assign(made.begin() + 1, made.end());
    return made[0];
}

const std::string& Plugin::id() const { return impl_->descriptor.id; }
const std::string& Plugin::name() const { return impl_->descriptor.name; }
const std::string& Plugin::version() const { return impl_->descriptor.version; }
const std::string& Plugin::description() const { return impl_->descriptor.description; }
const std::string& Plugin::reference() const { return impl_->descriptor.reference; }
const std::string& Plugin::formula() const { return impl_->descriptor.formula; }
const std::filesystem::path& Plugin::file() const { return impl_->library->file(); }
std::string_view Plugin::place() const { return impl_->backend->place(); }
std::string Plugin::label() const { return fmt::format("{} ({})", id(), file().string()); }
bool Plugin::deterministic() const { return (impl_->descriptor.flags & EVL_DETERMINISTIC) != 0; }
bool Plugin::concurrent() const { return (impl_->descriptor.flags & EVL_CONCURRENT) != 0; }
bool Plugin::equal_layers() const { return (impl_->descriptor.flags & EVL_EQUAL_LAYERS) != 0; }
bool Plugin::budgeted() const { return (impl_->descriptor.flags & EVL_BUDGETED) != 0; }
bool Plugin::wants_tensors() const { return (impl_->descriptor.flags & EVL_TENSORS) != 0; }
bool Plugin::wrapper() const { return std::ranges::count(impl_->descriptor.columns, base_score_column) > 0; }
bool Plugin::budgets_layers() const { return impl_->descriptor.budgets_layers; }
bool Plugin::budgets_heads() const { return impl_->descriptor.budgets_heads; }
bool Plugin::budgets_model() const { return impl_->descriptor.budgets_model; }
std::size_t Plugin::model_facts() const { return impl_->descriptor.model_facts; }
bool Plugin::scores_model() const { return impl_->descriptor.scores_model; }
std::optional<ThresholdRule> Plugin::threshold() const { return impl_->descriptor.threshold; }
std::uint64_t Plugin::tensor_window() const { return impl_->descriptor.tensor_window; }
std::span<const std::string> Plugin::tables() const { return impl_->descriptor.tables; }
std::span<const std::string> Plugin::column_patterns() const { return impl_->descriptor.columns; }
std::span<const Parameter> Plugin::parameters() const { return impl_->descriptor.parameters; }
std::span<const Preset> Plugin::presets() const { return impl_->descriptor.presets; }

const std::string& Plugin::file_sha256() const { return impl_->library->sha256(); }

ColumnList Plugin::columns(std::span<const double> values) const {
    try {
        return resolve_columns(impl_->descriptor, values);
    } catch (const Error& error) {
        throw UsageError(fmt::format("scorer '{}': {}", id(), error.what()));
    }
}

std::vector<double> Plugin::default_values() const {
    std::vector<double> values;
    for (const auto& parameter : parameters()) values.push_back(parameter.default_value);
    return values;
}

std::vector<std::shared_ptr<const Plugin>> Plugin::rules() const {
    std::vector<std::shared_ptr<const Plugin>> rules{shared_from_this()};
    rules.insert(rules.end(), impl_->variants.begin(), impl_->variants.end());
    return rules;
}

const Preset* Plugin::preset(std::string_view name) const {
    const auto& presets = impl_->descriptor.presets;
    const auto at = std::ranges::find(presets, name, &Preset::name);
    return at == presets.end() ? nullptr : &*at;
}

std::unique_ptr<ScorerInstance> Plugin::create(std::span<const double> values) const {
    if (values.size() != parameters().size())
        throw PluginError(label(), "create",
                          fmt::format("{} values for {} parameters", values.size(), parameters().size()));
    return impl_->backend->create(shared_from_this(), values);
}

} // namespace evictlab
