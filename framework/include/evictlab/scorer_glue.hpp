// What EVICTLAB_SCORER builds the exported object from: tables and C functions from a scorer's struct. Included by
// scorer.hpp; not for authors.
//
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.hpp>

#include <array>
#include <concepts>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(hidden)
namespace evictlab {

namespace glue {

inline evl_status fail(evl_error* error, const char* text) {
    std::size_t i = 0;
    for (; i + 1 < sizeof error->text && text[i] != '\0'; ++i) error->text[i] = text[i];
    error->text[i] = '\0';
    return EVL_FAILED;
}

template <class Call>
evl_status guarded(evl_error* error, Call&& call) noexcept {
    try {
        call();
        return EVL_OK;
    } catch (const std::exception& exception) {
        return fail(error, exception.what());
    } catch (...) {
        return fail(error, "threw something that is not a std::exception");
    }
}

// Copies of the scorer's tables: its own static members would be merged with those of a namesake in another plugin.
template <class Scorer>
inline constexpr auto column_table = Scorer::columns;
template <class Scorer>
inline constexpr auto parameter_table = std::to_array(Scorer::parameters);

template <class Scorer>
constexpr auto table_names() {
    if constexpr (requires { Scorer::tables; })
        return Scorer::tables;
    else
        return TableNames<0>{};
}
template <class Scorer>
inline constexpr auto name_table = table_names<Scorer>();

template <class Scorer>
constexpr std::span<const Parameter<Scorer>> parameters() {
    if constexpr (requires { Scorer::parameters; })
        return parameter_table<Scorer>;
    else
        return {};
}

template <class Scorer>
constexpr std::span<const Preset> presets() {
    if constexpr (requires { Scorer::presets; })
        return Scorer::presets;
    else
        return {};
}

template <class Scorer>
concept ScoresHeads = requires(Scorer scorer, Head<Scorer> head, std::span<double> out) {
    scorer.score(head, out);
};
template <class Scorer>
concept Concurrent = requires(const Scorer scorer, Head<Scorer> head, Batch<Scorer> batch, std::span<double> out) {
    requires requires { scorer.score(head, out); } || requires {
        scorer.score(batch, out);
    };
};

template <class Scorer>
concept BudgetsLayers = requires(const Scorer scorer, const evl_budget_query query) {
    { scorer.layer_budget(query) } -> std::convertible_to<std::uint64_t>;
};
template <class Scorer>
concept BudgetsHeads = requires(const Scorer scorer, Batch<Scorer> batch, std::span<const double> scores,
                                std::span<std::uint64_t> kept) {
    scorer.head_budgets(batch, scores, kept);
};

template <class Scorer>
concept BudgetsModels = requires(const Scorer scorer, Model model, std::span<std::uint64_t> kept) {
    scorer.model_budgets(model, kept);
};
template <class Scorer>
concept ScoresModels = requires(const Scorer scorer, Model model, std::span<double* const> scores) {
    scorer.model_scores(model, scores);
};
template <class Scorer> // a parameter of its own may have that name
concept HasThreshold = std::same_as<std::remove_cvref_t<decltype(Scorer::threshold)>, ThresholdParameters<Scorer>>;
template <class Scorer, class Member>
consteval std::uint64_t parameter_of(Member member) {
    for (std::size_t i = 0; i < parameters<Scorer>().size(); ++i)
        if (parameters<Scorer>()[i].is(member)) return i;
    throw "the scorer's `parameters` do not have this member";
}
template <class Scorer>
constexpr std::uint64_t facts() {
    if constexpr (requires { Scorer::facts; })
        return Scorer::facts;
    else
        return 0;
}

template <class Scorer, class Self>
void score(Self& scorer, const evl_batch& batch, double* scores) {
    const std::size_t tokens = batch.tokens, heads = batch.heads;
    if constexpr (ScoresHeads<Scorer>)
        for (std::size_t h = 0; h < heads; ++h)
            scorer.score(Head<Scorer>(batch, h), std::span<double>(scores + h * tokens, tokens));
    else
        scorer.score(Batch<Scorer>(batch), std::span<double>(scores, heads * tokens));
}

template <class Scorer>
struct Functions {
    static evl_status create(const double* values, evl_instance** instance, evl_error* error) noexcept {
        Scorer* made = nullptr;
        const evl_status status = guarded(error, [&] {
            made = new Scorer(); // NOLINT(bugprone-unhandled-exception-at-new): guarded() catches it
            for (const auto& parameter : parameters<Scorer>()) parameter.set(*made, *values++);
            if constexpr (requires { made->prepare(); }) made->prepare();
        });
        if (status != EVL_OK)
            delete made;
        else
            *instance = reinterpret_cast<evl_instance*>(made);
        return status;
    }
    static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) noexcept {
        return guarded(error, [&] {
            auto& scorer = *reinterpret_cast<Scorer*>(instance);
            if constexpr (Concurrent<Scorer> && std::is_trivially_copyable_v<Scorer>) {
                // A local copy cannot overlap the scores, so loops over its members vectorise.
                const Scorer copy = scorer;
                glue::score<Scorer>(copy, *batch, scores);
            } else if constexpr (Concurrent<Scorer>) {
                glue::score<Scorer>(std::as_const(scorer), *batch, scores);
            } else {
                glue::score<Scorer>(scorer, *batch, scores);
            }
        });
    }
    static void destroy(evl_instance* instance) noexcept { delete reinterpret_cast<Scorer*>(instance); }

    static evl_status layer_budget(evl_instance* instance, const evl_budget_query* query, std::uint64_t* kept,
                                   evl_error* error) noexcept {
        return guarded(error, [&] { *kept = reinterpret_cast<const Scorer*>(instance)->layer_budget(*query); });
    }
    static evl_status head_budgets(evl_instance* instance, const evl_batch* batch, const double* scores,
                                   std::uint64_t* kept, evl_error* error) noexcept {
        return guarded(error, [&] {
            reinterpret_cast<const Scorer*>(instance)->head_budgets(
                Batch<Scorer>(*batch), std::span<const double>(scores, std::size_t{batch->heads} * batch->tokens),
                std::span<std::uint64_t>(kept, batch->heads));
        });
    }
    static evl_status layer_facts(evl_instance* instance, const evl_batch* batch, const double* scores, double* told,
                                  evl_error* error) noexcept {
        return guarded(error, [&] {
            reinterpret_cast<const Scorer*>(instance)->layer_facts(
                Batch<Scorer>(*batch), std::span<const double>(scores, std::size_t{batch->heads} * batch->tokens),
                std::span<double>(told, facts<Scorer>()));
        });
    }
    static evl_status model_budgets(evl_instance* instance, const evl_model_query* query, std::uint64_t* kept,
                                    evl_error* error) noexcept {
        return guarded(error, [&] {
            const Model model(*query);
            std::size_t heads = 0;
            for (std::size_t i = 0; i < model.size(); ++i) heads += model[i].heads();
            reinterpret_cast<const Scorer*>(instance)->model_budgets(model, std::span<std::uint64_t>(kept, heads));
        });
    }
    static evl_status model_scores(evl_instance* instance, const evl_model_query* query, double* const* scores,
                                   evl_error* error) noexcept {
        return guarded(error, [&] {
            reinterpret_cast<const Scorer*>(instance)->model_scores(
                Model(*query), std::span<double* const>(scores, query->layer_count));
        });
    }
    static constexpr evl_model_budgets model_extension() {
        if constexpr (facts<Scorer>() > 0)
            return {facts<Scorer>(), layer_facts, model_budgets};
        else
            return {0, nullptr, model_budgets};
    }
    static const void* extension(const char* id) noexcept {
        if constexpr (BudgetsLayers<Scorer>) {
            static constexpr evl_layer_budget layers{layer_budget};
            if (std::string_view(id) == EVL_LAYER_BUDGET) return &layers;
        }
        if constexpr (BudgetsHeads<Scorer>) {
            static constexpr evl_head_budgets heads{head_budgets};
            if (std::string_view(id) == EVL_HEAD_BUDGETS) return &heads;
        }
        if constexpr (BudgetsModels<Scorer>) {
            static constexpr evl_model_budgets model = model_extension();
            if (std::string_view(id) == EVL_MODEL_BUDGETS) return &model;
        }
        if constexpr (ScoresModels<Scorer>) {
            static constexpr evl_model_scores model_scores_{model_scores};
            if (std::string_view(id) == EVL_MODEL_SCORES) return &model_scores_;
        }
        if constexpr (HasThreshold<Scorer>) {
            static constexpr evl_threshold threshold{parameter_of<Scorer>(Scorer::threshold.threshold),
                                                     parameter_of<Scorer>(Scorer::threshold.window)};
            if (std::string_view(id) == EVL_THRESHOLD) return &threshold;
        }
        return nullptr;
    }
};

/// The tables that the exported object points to.
template <class Scorer>
struct Tables {
    static constexpr std::size_t param_count = parameters<Scorer>().size();
    static constexpr std::size_t preset_count = presets<Scorer>().size();

    evl_param params[param_count + 1]{};
    double values[preset_count + 1][param_count + 1]{};
    evl_preset presets_[preset_count + 1]{};

    constexpr Tables() {
        const Scorer defaults{};
        for (std::size_t i = 0; i < param_count; ++i) {
            const auto& parameter = parameters<Scorer>()[i];
            const ParameterInfo& info = parameter.info;
            params[i] = {info.key,
                         info.label,
                         info.help,
                         info.min,
                         info.max,
                         parameter.get(defaults),
                         static_cast<std::uint32_t>(parameter.type),
                         info.log_scale,
                         info.evolvable,
                         0};
        }
        for (std::size_t p = 0; p < preset_count; ++p) {
            for (std::size_t i = 0; i < param_count; ++i) values[p][i] = value(presets<Scorer>()[p], i);
            const Preset& preset = presets<Scorer>()[p];
            presets_[p] = {preset.name,  preset.help,   values[p], static_cast<std::uint64_t>(preset.standing),
                           preset.bases, preset.formula};
        }
    }

private:
    constexpr double value(const Preset& preset, std::size_t parameter) const {
        for (const auto& [key, value] : preset.values)
            if (!key.empty() && key == params[parameter].key) return value;
        return params[parameter].default_value;
    }
};

/// Whether every key of every preset is a parameter's.
template <class Scorer>
consteval bool preset_keys_known() {
    for (const Preset& preset : presets<Scorer>())
        for (const auto& [key, value] : preset.values) {
            bool known = key.empty();
            for (const auto& parameter : parameters<Scorer>()) known = known || key == parameter.info.key;
            if (!known) return false;
        }
    return true;
}

template <class Scorer>
inline constexpr Tables<Scorer> tables{};

template <class Scorer, class... Variants>
constexpr evl_plugin plugin();
/// The rules of a plugin's id behind its first.
template <class Scorer, class... Variants>
inline constexpr evl_plugin variant = plugin<Scorer, Variants...>();

template <class Scorer>
constexpr std::uint64_t flags() {
    constexpr const Info& info = Scorer::info;
    return (info.deterministic ? EVL_DETERMINISTIC : 0) | (Concurrent<Scorer> ? EVL_CONCURRENT : 0) |
           (info.budgeted ? EVL_BUDGETED : 0) | (info.tensors ? EVL_TENSORS : 0) |
           (info.equal_layers ? EVL_EQUAL_LAYERS : 0);
}

template <class Scorer, class... Variants>
constexpr evl_plugin plugin() {
    static_assert(preset_keys_known<Scorer>(), "a preset names a parameter that the scorer does not have");
    constexpr const Info& info = Scorer::info;
    evl_plugin made{EVL_HEADER,
                    info.id,
                    info.name,
                    info.version,
                    info.description,
                    info.reference,
                    flags<Scorer>(),
                    column_table<Scorer>.count,
                    column_table<Scorer>.names,
                    Tables<Scorer>::param_count,
                    sizeof(evl_param),
                    tables<Scorer>.params,
                    Tables<Scorer>::preset_count,
                    sizeof(evl_preset),
                    tables<Scorer>.presets_,
                    Functions<Scorer>::create,
                    Functions<Scorer>::score,
                    Functions<Scorer>::destroy,
                    Functions<Scorer>::extension,
                    info.tensor_window,
                    nullptr,
                    info.formula,
                    name_table<Scorer>.count,
                    name_table<Scorer>.names};
    if constexpr (sizeof...(Variants) > 0) made.variant = &variant<Variants...>;
    return made;
}

} // namespace glue
} // namespace evictlab

#pragma GCC visibility pop
