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
    boost::dll::shared_library library;
    Descriptor descriptor;
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
    std::shared_ptr<Plugin> plugin(new Plugin);
    Impl& impl = *plugin->impl_;
    std::string id;
    try {
        impl.file = std::filesystem::absolute(file).lexically_normal();
        if (const auto defect = library_file_defect(impl.file); !defect.empty()) throw Error(defect);
        load_library(impl.library, impl.file);
        impl.descriptor = read_descriptor(&impl.library.get<const char>(EVL_SYMBOL), id);
    } catch (const std::exception& error) {
        throw PluginError(id.empty() ? file.string() : fmt::format("{} ({})", id, file.string()), "load", error.what());
    }
    return plugin;
}

const std::string& Plugin::id() const { return impl_->descriptor.id; }
const std::string& Plugin::name() const { return impl_->descriptor.name; }
const std::string& Plugin::version() const { return impl_->descriptor.version; }
const std::string& Plugin::description() const { return impl_->descriptor.description; }
const std::string& Plugin::reference() const { return impl_->descriptor.reference; }
const std::filesystem::path& Plugin::file() const { return impl_->file; }
bool Plugin::deterministic() const { return (impl_->descriptor.plugin.flags & EVL_DETERMINISTIC) != 0; }
bool Plugin::concurrent() const { return (impl_->descriptor.plugin.flags & EVL_CONCURRENT) != 0; }
std::span<const ColumnId> Plugin::columns() const { return impl_->descriptor.columns; }
std::span<const Parameter> Plugin::parameters() const { return impl_->descriptor.parameters; }
std::span<const Preset> Plugin::presets() const { return impl_->descriptor.presets; }

const std::string& Plugin::file_sha256() const {
    std::call_once(impl_->hashed, [&] { impl_->sha256 = sha256_hex_of_file(impl_->file).value_or(""); });
    return impl_->sha256;
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

} // namespace evictlab
