// A loaded plugin and its instances: every call into the library is made here, and nothing thrown there gets further.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <boost/dll/shared_library.hpp>
#include <mutex>

#include "digest/digest.hpp"
#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/library_file.hpp"

namespace evictlab {

PluginError::PluginError(std::string_view plugin_, std::string_view phase_, std::string_view cause_)
    : Error(fmt::format("plugin {}: {}: {}", plugin_, phase_, cause_)), plugin(plugin_), phase(phase_), cause(cause_) {}

struct Plugin::Impl {
    std::filesystem::path file;
    std::shared_ptr<boost::dll::shared_library> library;
    Descriptor descriptor;
    std::vector<std::shared_ptr<const Plugin>> variants;
    mutable std::once_flag hashed;
    mutable std::string sha256;

    std::string label() const { return fmt::format("{} ({})", descriptor.id, file.string()); }
};

namespace {

// Boost wraps the loader's words: "boost::dll::...: Exec format error (dlerror system message: WORDS): ...".
std::string loader_words(std::string_view message) {
    constexpr std::string_view mark = "dlerror system message: ";
    const auto begin = message.find(mark);
    if (begin == std::string_view::npos) return std::string(message);
    message.remove_prefix(begin + mark.size());
    const auto end = message.rfind(')');
    return std::string(message.substr(0, end));
}

void load_library(boost::dll::shared_library& library, const std::filesystem::path& file) {
    try {
        library.load(file.string(), boost::dll::load_mode::rtld_now);
    } catch (const boost::system::system_error& error) {
        throw Error("the loader refuses it: " + loader_words(error.what()));
    }
    if (!library.has(EVL_SYMBOL))
        throw Error(fmt::format("the symbol `{}` is missing: not a scorer plugin, or not exported", EVL_SYMBOL));
}

// Runs one call into a plugin. Gives the reason of a failure, or nothing.
template <class Call>
std::string failure(evl_error& error, Call&& call) {
    try {
        const evl_status status = call();
        if (status == EVL_OK) return {};
        error.text[sizeof error.text - 1] = '\0';
        return fmt::format("status {}: {}", status, error.text[0] ? error.text : "no text given");
    } catch (const std::exception& exception) {
        return fmt::format("an exception escaped: {}", exception.what());
    } catch (...) {
        return "an exception escaped that is not a std::exception";
    }
}

} // namespace

Plugin::Plugin() : impl_(std::make_unique<Impl>()) {}
Plugin::~Plugin() = default;

std::shared_ptr<const Plugin> Plugin::load(const std::filesystem::path& file) {
    const auto path = std::filesystem::absolute(file).lexically_normal();
    std::vector<std::shared_ptr<Plugin>> rules;
    std::string id;
    try {
        if (const auto defect = library_file_defect(path); !defect.empty()) throw Error(defect);
        const auto library = std::make_shared<boost::dll::shared_library>();
        load_library(*library, path);
        for (auto& descriptor : read_descriptors(&library->get<const char>(EVL_SYMBOL), id)) {
            std::shared_ptr<Plugin> rule(new Plugin);
            rule->impl_->file = path;
            rule->impl_->library = library;
            rule->impl_->descriptor = std::move(descriptor);
            rules.push_back(std::move(rule));
        }
    } catch (const std::exception& error) {
        throw PluginError(id.empty() ? file.string() : fmt::format("{} ({})", id, file.string()), "load", error.what());
    }
    rules[0]->impl_->variants.assign(rules.begin() + 1, rules.end());
    return rules[0];
}

const std::string& Plugin::id() const { return impl_->descriptor.id; }
const std::string& Plugin::name() const { return impl_->descriptor.name; }
const std::string& Plugin::version() const { return impl_->descriptor.version; }
const std::string& Plugin::description() const { return impl_->descriptor.description; }
const std::string& Plugin::reference() const { return impl_->descriptor.reference; }
const std::filesystem::path& Plugin::file() const { return impl_->file; }
bool Plugin::deterministic() const { return (impl_->descriptor.plugin.flags & EVL_DETERMINISTIC) != 0; }
bool Plugin::concurrent() const { return (impl_->descriptor.plugin.flags & EVL_CONCURRENT) != 0; }
bool Plugin::budgeted() const { return (impl_->descriptor.plugin.flags & EVL_BUDGETED) != 0; }
bool Plugin::wants_tensors() const { return (impl_->descriptor.plugin.flags & EVL_TENSORS) != 0; }
bool Plugin::wrapper() const { return std::ranges::count(impl_->descriptor.columns, base_score_column) > 0; }
bool Plugin::budgets_layers() const { return impl_->descriptor.layer_budget != nullptr; }
bool Plugin::budgets_heads() const { return impl_->descriptor.head_budgets != nullptr; }
std::uint64_t Plugin::tensor_window() const { return impl_->descriptor.plugin.tensor_window; }
std::span<const std::string> Plugin::column_patterns() const { return impl_->descriptor.columns; }
std::span<const Parameter> Plugin::parameters() const { return impl_->descriptor.parameters; }
std::span<const Preset> Plugin::presets() const { return impl_->descriptor.presets; }

const std::string& Plugin::file_sha256() const {
    std::call_once(impl_->hashed, [&] { impl_->sha256 = sha256_hex_of_file(impl_->file).value_or(""); });
    return impl_->sha256;
}

std::vector<ColumnId> Plugin::columns(std::span<const double> values) const {
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
        throw PluginError(impl_->label(), "create",
                          fmt::format("{} values for {} parameters", values.size(), parameters().size()));
    evl_instance* instance = nullptr;
    evl_error error{};
    auto cause = failure(error, [&] { return impl_->descriptor.plugin.create(values.data(), &instance, &error); });
    if (cause.empty() && !instance) cause = "reported success without an instance";
    if (!cause.empty()) throw PluginError(impl_->label(), "create", cause);
    return std::unique_ptr<ScorerInstance>(new ScorerInstance(shared_from_this(), instance));
}

ScorerInstance::ScorerInstance(std::shared_ptr<const Plugin> plugin, evl_instance* instance)
    : plugin_(std::move(plugin)), instance_(instance) {}

ScorerInstance::~ScorerInstance() {
    evl_error unused{};
    failure(unused, [&] {
        plugin_->impl_->descriptor.plugin.destroy(instance_);
        return EVL_OK;
    });
}

void ScorerInstance::score(const evl_batch& batch, double* scores) const {
    const auto& impl = *plugin_->impl_;
    evl_error error{};
    const auto cause = failure(error, [&] { return impl.descriptor.plugin.score(instance_, &batch, scores, &error); });
    if (!cause.empty()) throw PluginError(impl.label(), "score", fmt::format("layer {}: {}", batch.layer, cause));
}

namespace {

// The host's limit on what a budget may be.
std::string excess(std::uint64_t kept, std::uint32_t tokens) {
    return kept <= tokens ? "" : fmt::format("{} of {} tokens are to be kept", kept, tokens);
}

} // namespace

std::size_t ScorerInstance::layer_budget(const evl_budget_query& query) const {
    const auto& impl = *plugin_->impl_;
    evl_error error{};
    std::uint64_t kept = query.kept;
    auto cause =
        failure(error, [&] { return impl.descriptor.layer_budget->layer_budget(instance_, &query, &kept, &error); });
    if (cause.empty()) cause = excess(kept, query.tokens);
    if (!cause.empty()) throw PluginError(impl.label(), "budget", fmt::format("layer {}: {}", query.layer, cause));
    return kept;
}

void ScorerInstance::head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const {
    const auto& impl = *plugin_->impl_;
    evl_error error{};
    auto cause = failure(error, [&] {
        return impl.descriptor.head_budgets->head_budgets(instance_, &batch, scores, kept.data(), &error);
    });
    for (std::size_t head = 0; cause.empty() && head < kept.size(); ++head)
        if (cause = excess(kept[head], batch.tokens); !cause.empty()) cause = fmt::format("head {}: {}", head, cause);
    if (!cause.empty()) throw PluginError(impl.label(), "budget", fmt::format("layer {}: {}", batch.layer, cause));
}

} // namespace evictlab
