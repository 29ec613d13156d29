// Plugins in this process: every call into a library is made here, and nothing thrown there gets further.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <boost/dll/shared_library.hpp>
#include <cmath>
#include <limits>

#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/loaded_library.hpp"

namespace evictlab {
namespace {

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

/// The host's limit on what a budget may be.
std::string excess(std::uint64_t kept, std::uint32_t tokens) {
    return kept <= tokens ? "" : fmt::format("{} of {} tokens are to be kept", kept, tokens);
}

class LoadedInstance final : public ScorerInstance {
public:
    LoadedInstance(std::shared_ptr<const Plugin> rule, const RuleFunctions& functions, evl_instance* instance)
        : ScorerInstance(std::move(rule)), functions_(functions), instance_(instance) {}
    ~LoadedInstance() override { destroy(); }

    void score(const evl_batch& batch, double* scores) const override {
        evl_error error{};
        const auto cause = failure(error, [&] { return functions_.score(instance_, &batch, scores, &error); });
        if (!cause.empty()) fail("score", batch.layer, cause);
    }

    std::size_t layer_budget(const evl_budget_query& query) const override {
        evl_error error{};
        std::uint64_t kept = query.kept;
        auto cause = failure(error, [&] { return functions_.layer_budget(instance_, &query, &kept, &error); });
        if (cause.empty()) cause = excess(kept, query.tokens);
        if (!cause.empty()) fail("budget", query.layer, cause);
        return kept;
    }

    void head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const override {
        evl_error error{};
        auto cause =
            failure(error, [&] { return functions_.head_budgets(instance_, &batch, scores, kept.data(), &error); });
        for (std::size_t head = 0; cause.empty() && head < kept.size(); ++head)
            if (cause = excess(kept[head], batch.tokens); !cause.empty())
                cause = fmt::format("head {}: {}", head, cause);
        if (!cause.empty()) fail("budget", batch.layer, cause);
    }

    void layer_facts(const evl_batch& batch, const double* scores, std::span<double> facts) const override {
        evl_error error{};
        std::ranges::fill(facts, std::numeric_limits<double>::quiet_NaN());
        auto cause =
            failure(error, [&] { return functions_.layer_facts(instance_, &batch, scores, facts.data(), &error); });
        for (std::size_t i = 0; cause.empty() && i < facts.size(); ++i)
            if (std::isnan(facts[i])) cause = fmt::format("fact {} is NaN, or was not written", i);
        if (!cause.empty()) fail("budget", batch.layer, cause);
    }

    void model_budgets(const evl_model_query& query, std::span<std::uint64_t> kept) const override {
        const std::span layers(query.layers, query.layer_count);
        std::uint64_t* next = kept.data();
        for (const evl_scored_layer& layer : layers) next = std::fill_n(next, layer.heads, layer.kept);
        evl_error error{};
        const auto cause =
            failure(error, [&] { return functions_.model_budgets(instance_, &query, kept.data(), &error); });
        if (!cause.empty()) throw PluginError(plugin().label(), "budget", "of the model: " + cause);
        const std::uint64_t* said = kept.data();
        for (const evl_scored_layer& layer : layers)
            for (std::size_t head = 0; head < layer.heads; ++head)
                if (const auto beyond = excess(*said++, layer.tokens); !beyond.empty())
                    fail("budget", layer.layer, fmt::format("head {}: {}", head, beyond));
    }

    void model_scores(const evl_model_query& query, std::span<double* const> scores) const override {
        evl_error error{};
        const auto cause =
            failure(error, [&] { return functions_.model_scores(instance_, &query, scores.data(), &error); });
        if (!cause.empty()) throw PluginError(plugin().label(), "score", "of the model: " + cause);
    }

    void end() override {
        if (const auto cause = destroy(); !cause.empty()) throw PluginError(plugin().label(), "destroy", cause);
    }

private:
    std::string destroy() {
        evl_instance* const instance = std::exchange(instance_, nullptr);
        if (!instance) return {};
        evl_error unused{};
        return failure(unused, [&] {
            functions_.destroy(instance);
            return EVL_OK;
        });
    }
    [[noreturn]] void fail(std::string_view phase, std::uint32_t layer, const std::string& cause) const {
        throw PluginError(plugin().label(), phase, fmt::format("layer {}: {}", layer, cause));
    }

    const RuleFunctions& functions_;
    evl_instance* instance_;
};

class LoadedBackend final : public PluginBackend {
public:
    LoadedBackend(std::shared_ptr<boost::dll::shared_library> library, RuleFunctions functions)
        : library_(std::move(library)), functions_(functions) {}

    std::unique_ptr<ScorerInstance> create(std::shared_ptr<const Plugin> rule,
                                           std::span<const double> values) const override {
        evl_instance* instance = nullptr;
        evl_error error{};
        auto cause = failure(error, [&] { return functions_.create(values.data(), &instance, &error); });
        if (cause.empty() && !instance) cause = "reported success without an instance";
        if (!cause.empty()) throw PluginError(rule->label(), "create", cause);
        return std::make_unique<LoadedInstance>(std::move(rule), functions_, instance);
    }
    std::string_view place() const override { return "in this process"; }

private:
    std::shared_ptr<boost::dll::shared_library> library_; ///< holds what the functions are in
    RuleFunctions functions_;
};

} // namespace

std::shared_ptr<const Plugin> Plugin::load(const std::filesystem::path& file) {
    std::shared_ptr<const SealedLibrary> sealed;
    try {
        sealed = std::make_shared<const SealedLibrary>(file);
    } catch (const std::exception& error) {
        throw PluginError(file.string(), "load", error.what());
    }
    return load_sealed(std::move(sealed));
}

std::shared_ptr<const Plugin> Plugin::load_sealed(std::shared_ptr<const SealedLibrary> sealed) {
    const std::string file = sealed->file().string();
    std::vector<Rule> rules;
    std::string id;
    try {
        if (const auto defect = sealed->defect(); !defect.empty()) throw Error(defect);
        const auto library = load_library(*sealed);
        if (!library->has(EVL_SYMBOL))
            throw Error(fmt::format("the symbol `{}` is missing: not a scorer plugin, or not exported", EVL_SYMBOL));
        for (auto& rule : read_rules(&library->get<const char>(EVL_SYMBOL), id))
            rules.push_back({std::move(rule.descriptor), std::make_shared<LoadedBackend>(library, rule.functions)});
    } catch (const std::exception& error) {
        throw PluginError(id.empty() ? file : fmt::format("{} ({})", id, file), "load", error.what());
    }
    return of(std::move(sealed), std::move(rules));
}

} // namespace evictlab
