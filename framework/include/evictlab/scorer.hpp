// C++20 sugar over scorer.h: a scorer is a small struct with its description, columns, parameters and one function; the
// macro at its end turns it into the exported plugin. Header only; includes nothing of the framework. What is used:
//
//     struct Newest {
//         int window = 64; // a parameter is a double, int or bool member; its initial value is the default
//
//         static constexpr evictlab::Info info{.id = "newest", .name = "Newest", .version = "1.0.0",
//                                              .description = "age < window: keep; else the attention received"};
//         static constexpr evictlab::Columns columns{"relative_pos", "cumulative_attn"};
//         static constexpr evictlab::Parameter<Newest> parameters[] = {
//             {&Newest::window, {.key = "window", .help = "tokens always kept", .min = 0, .max = 4096}}};
//         static constexpr evictlab::Preset presets[] = {{"short", "a small window", {{"window", 16}}}};
//
//         void score(evictlab::Head<Newest> head, std::span<double> out) const {
//             const auto age = head["relative_pos"], attention = head["cumulative_attn"];
//             for (std::size_t i = 0; i < out.size(); ++i)
//                 out[i] = age[i] < window ? evictlab::keep : attention[i];
//         }
//     };
//     EVICTLAB_SCORER(Newest)
//
// `parameters` and `presets` may be left out, and so may `void prepare()`, which is called once after the parameters
// are set and may throw. A const score() makes the scorer safe for concurrent calls. Whatever prepare() or score()
// throws becomes the plugin's error. Nothing here allocates during a score call.
//
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <limits>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

// Hidden, so that two plugins whose structs have the same name share nothing when loaded into one process.
#pragma GCC visibility push(hidden)
namespace evictlab {

inline constexpr double keep = std::numeric_limits<double>::infinity(); ///< above all others: always keep
inline constexpr double drop = -keep;                                   ///< below all others: evict first

/// What the plugin is; the fields are those of evl_plugin. Strings live as long as the library (literals do).
struct Info {
    const char* id = nullptr;
    const char* name = "";
    const char* version = "1.0.0";
    const char* description = "";
    const char* reference = "";
    bool deterministic = true;
};

/// The names of the columns that a scorer asks for.
template <std::size_t N>
struct Columns {
    template <class... Name>
    constexpr Columns(Name... name) : names{name...} {}
    const char* names[N];
};
template <class... Name>
Columns(Name...) -> Columns<sizeof...(Name)>;

struct ParameterInfo {
    const char* key = nullptr;
    const char* label = "";
    const char* help = "";
    double min = 0, max = 1;
    bool log_scale = false;
    bool evolvable = true;
};

/// A parameter: the member that holds it, and its description. The member's type is the parameter's type.
template <class Scorer>
class Parameter {
public:
    constexpr Parameter(double Scorer::*member, ParameterInfo about) : info(about), type(EVL_REAL), real_(member) {}
    constexpr Parameter(int Scorer::*member, ParameterInfo about) : info(about), type(EVL_INTEGER), integer_(member) {}
    constexpr Parameter(bool Scorer::*member, ParameterInfo about) : info(about), type(EVL_BOOLEAN), boolean_(member) {}

    constexpr double get(const Scorer& scorer) const {
        return type == EVL_REAL ? scorer.*real_ : type == EVL_INTEGER ? scorer.*integer_ : scorer.*boolean_;
    }
    constexpr void set(Scorer& scorer, double value) const {
        if (type == EVL_REAL) scorer.*real_ = value;
        if (type == EVL_INTEGER) scorer.*integer_ = static_cast<int>(value);
        if (type == EVL_BOOLEAN) scorer.*boolean_ = value != 0;
    }

    ParameterInfo info;
    evl_param_type type;

private:
    double Scorer::*real_ = nullptr;
    int Scorer::*integer_ = nullptr;
    bool Scorer::*boolean_ = nullptr;
};

/// A named parameter set: up to 24 values by key; parameters that it does not name have their defaults.
struct Preset {
    struct Value {
        std::string_view key{};
        double value = 0;
    };
    const char* name = nullptr;
    const char* help = "";
    Value values[24]{};
};

/// The index of a column in Scorer::columns, found when compiling; a name that is not there does not compile.
template <class Scorer>
class ColumnIndex {
public:
    consteval ColumnIndex(const char* name) : value_(find(name)) {}
    constexpr std::size_t value() const { return value_; }

private:
    static consteval std::size_t find(std::string_view name) {
        for (std::size_t i = 0; i < std::size(Scorer::columns.names); ++i)
            if (name == Scorer::columns.names[i]) return i;
        throw "the scorer's `columns` do not name this column";
    }
    std::size_t value_;
};

/// The cached tokens of one KV head of one layer, as Scorer's columns. A view: valid during the score call,
/// read-only.
template <class Scorer>
class Head {
public:
    Head(const evl_batch& batch, std::size_t index) : batch_(&batch), index_(index) {}
    /// [tokens] values of one column: head["position"].
    std::span<const double> operator[](ColumnIndex<Scorer> column) const {
        const auto stride = batch_->head_stride[column.value()];
        return {batch_->columns[column.value()] + static_cast<std::ptrdiff_t>(index_) * stride, tokens()};
    }
    std::size_t index() const { return index_; } ///< of the KV head, from 0
    std::size_t tokens() const { return batch_->tokens; }
    std::size_t layer() const { return batch_->layer; } ///< from 0
    std::size_t num_layers() const { return batch_->num_layers; }
    double layer_ratio() const { return static_cast<double>(layer()) / static_cast<double>(num_layers()); }
    std::size_t sequence_len() const { return batch_->sequence_len; } ///< tokens seen so far, evicted ones included

private:
    const evl_batch* batch_;
    std::size_t index_;
};

/// All KV heads of one layer, for scorers that look across heads: `void score(Batch<Mine>, std::span<double>)`,
/// where the scores are [heads][tokens].
template <class Scorer>
class Batch {
public:
    explicit Batch(const evl_batch& batch) : batch_(&batch) {}
    std::size_t heads() const { return batch_->heads; }
    std::size_t tokens() const { return batch_->tokens; }
    Head<Scorer> head(std::size_t index) const { return {*batch_, index}; }

private:
    const evl_batch* batch_;
};

/// What the macro builds the exported object from; not for authors.
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
            made = new Scorer();
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
            presets_[p] = {presets<Scorer>()[p].name, presets<Scorer>()[p].help, values[p]};
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

template <class Scorer>
constexpr evl_plugin plugin() {
    static_assert(preset_keys_known<Scorer>(), "a preset names a parameter that the scorer does not have");
    constexpr const Info& info = Scorer::info;
    return {EVL_HEADER,
            info.id,
            info.name,
            info.version,
            info.description,
            info.reference,
            (info.deterministic ? EVL_DETERMINISTIC : 0) | (Concurrent<Scorer> ? EVL_CONCURRENT : 0),
            std::size(column_table<Scorer>.names),
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
            nullptr};
}

} // namespace glue
} // namespace evictlab

#pragma GCC visibility pop

/// Exports the scorer of this plugin. Once in a library.
#define EVICTLAB_SCORER(Scorer)                                                                                        \
    extern "C" constinit const evl_plugin evictlab_scorer = evictlab::glue::plugin<Scorer>();
