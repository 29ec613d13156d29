// SPDX-License-Identifier: MIT
#include "conformance/subject.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "framework/plugin/loaded_library.hpp"

namespace evictlab::conformance {

const evl_plugin& Subject::exported() const {
    static std::shared_ptr<boost::dll::shared_library> loaded_library; // until the process ends
    process->calling();
    if (!loaded_library) loaded_library = load_library(*library);
    return loaded_library->get<const evl_plugin>(EVL_SYMBOL);
}

const std::vector<std::shared_ptr<const Plugin>>& Subject::rules() const {
    process->calling();
    if (loaded.empty()) {
        loaded = Plugin::load_sealed(library)->rules();
        // Until the process ends: a thread that the plugin left behind must not lose its code before that is told.
        static auto& kept = *new std::vector<std::shared_ptr<const Plugin>>;
        kept.insert(kept.end(), loaded.begin(), loaded.end());
    }
    return loaded;
}

std::vector<Setting> Subject::settings() const {
    std::vector<Setting> settings;
    for (const auto& rule : rules()) {
        settings.push_back({rule, rule->id(), rule->default_values()});
        for (const Preset& preset : rule->presets())
            settings.push_back({rule, fmt::format("{}@{}", rule->id(), preset.name), preset.values});
    }
    return settings;
}

std::unique_ptr<ScorerInstance> Subject::create(const Setting& setting) const {
    process->calling();
    return setting.rule->create(setting.values);
}

std::vector<double> Subject::score(const ScorerInstance& instance, const evl_batch& batch) const {
    const auto fail = [&](const std::string& cause) { throw PluginError(instance.plugin().label(), "score", cause); };
    const std::span<double> scores = process->scores(std::size_t{batch.heads} * batch.tokens);
    process->calling();
    instance.score(batch, scores.data());
    if (process->wrote_before_scores()) fail("wrote outside its buffer, before its scores");
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (process->is_unwritten(scores[i])) fail(place(batch, i) + ": no score was written");
        if (std::isnan(scores[i])) fail(place(batch, i) + ": the score is NaN");
    }
    return {scores.begin(), scores.end()};
}

std::vector<double> Subject::scores_of(const Setting& setting, const MadeBatch& batch) const {
    return score(*create(setting), batch.batch());
}

bool refused_in_words(const PluginError& error) {
    return error.cause.find("status ") != std::string::npos && error.cause.find("no text given") == std::string::npos;
}

std::string place(const evl_batch& batch, std::size_t index) {
    return fmt::format("{} tokens, head {}, position {}", batch.tokens, index / batch.tokens, index % batch.tokens);
}

std::size_t first_difference(std::span<const double> a, std::span<const double> b) {
    std::size_t i = 0;
    while (i < a.size() && std::bit_cast<std::uint64_t>(a[i]) == std::bit_cast<std::uint64_t>(b[i])) ++i;
    return i;
}

} // namespace evictlab::conformance
