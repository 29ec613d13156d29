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
// are set and may throw, and `static constexpr evictlab::TableNames tables{"mine"}`: tables of the model's calibration,
// which Batch::table() and Head::table() give. A const score() makes the scorer safe for concurrent calls. Whatever
// prepare() or score() throws becomes the plugin's error. Nothing here allocates during a score call.
//
// Budgets, where the rule has its own (all optional):
//     std::size_t layer_budget(const evl_budget_query& query) const;   // tokens each head keeps in this layer
//     void head_budgets(evictlab::Batch<Mine> batch, std::span<const double> scores,   // [heads][tokens], as scored
//                       std::span<std::uint64_t> kept) const;                          // [heads], to fill
//     void model_budgets(evictlab::Model model, std::span<std::uint64_t> kept) const;  // of all layers' heads,
//     likewise static constexpr std::size_t facts = 2;           // where scores alone do not tell enough of a layer:
//     numbers that void layer_facts(evictlab::Batch<Mine> batch, std::span<const double> scores,    // go with it to
//     model_budgets
//                      std::span<double> facts) const;
//     void model_scores(evictlab::Model model, std::span<double* const> scores) const;   // [layer][heads * tokens], to
//     change once all layers are scored
//     static constexpr evictlab::ThresholdParameters<Mine> threshold{&Mine::t, &Mine::window};   // no budget: what
//     scores at least t stays; score() gives the newest `window` tokens `keep`
//
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

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
    bool budgeted = false;           ///< score() reads removed_fraction() or kept()
    bool tensors = false;            ///< score() reads tensors()
    std::uint64_t tensor_window = 0; ///< queries whose attention tensors() holds
    bool equal_layers = false;       ///< all layers keep as many: of a wrapper K, of others what layer_budget() says
    const char* formula = nullptr;   ///< one with the same scores, for the default values; null: none is known
};

/// The names of the columns that a scorer asks for; parameters in braces: "window_attn:{window}".
template <std::size_t N>
struct Columns {
    template <class... Name>
    constexpr Columns(Name... name) : names{name...} {}
    static constexpr std::size_t count = N;
    const char* names[N > 0 ? N : 1];
};
template <class... Name>
Columns(Name...) -> Columns<sizeof...(Name)>;

/// The names of the calibration's tables that a scorer asks for: `static constexpr evictlab::TableNames
/// tables{"mine"}`.
template <std::size_t N>
struct TableNames {
    template <class... Name>
    constexpr TableNames(Name... name) : names{name...} {}
    static constexpr std::size_t count = N;
    const char* names[N > 0 ? N : 1];
};
template <class... Name>
TableNames(Name...) -> TableNames<sizeof...(Name)>;

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
    constexpr bool is(double Scorer::*member) const { return type == EVL_REAL && real_ == member; }
    constexpr bool is(int Scorer::*member) const { return type == EVL_INTEGER && integer_ == member; }
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

/// Of a scorer without budget (EVL_THRESHOLD): the members of two of its `parameters`.
template <class Scorer>
struct ThresholdParameters {
    double Scorer::*threshold;
    int Scorer::*window;
};

/// What a preset is to others; scorer.h says of each flag what follows from it.
enum class Standing : std::uint64_t {
    own = 0,                                              ///< nobody's but its author's
    published = EVL_PRESET_PUBLISHED | EVL_PRESET_LISTED, ///< as its paper, authors or kvpress have it
    published_by_name = EVL_PRESET_PUBLISHED,             ///< the same, but `--scorers all` leaves it out
    listed = EVL_PRESET_LISTED,                           ///< not published, and yet `--scorers all` has it
    simplified = EVL_PRESET_SIMPLIFIED,                   ///< a published method's rule for synthetic suites
    matched = EVL_PRESET_PUBLISHED | EVL_PRESET_MATCHED,  ///< published, with the threshold that train asks for
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
    Standing standing = Standing::own;
    const char* bases = nullptr;   ///< of a wrapper: what `--scorers all` shows it over: "snapkv@kvpress,tova@kvpress"
    const char* formula = nullptr; ///< as Info::formula, for these values
};

/// The index of a column in Scorer::columns, found when compiling, by its whole name or by what stands before the first
/// ':'; a name that is not there, or would do for two, does not compile.
template <class Scorer>
class ColumnIndex {
public:
    consteval ColumnIndex(const char* name) : value_(find(name)) {}
    constexpr std::size_t value() const { return value_; }

private:
    static consteval std::size_t find(std::string_view name) {
        std::size_t found = Scorer::columns.count;
        for (std::size_t i = 0; i < Scorer::columns.count; ++i) {
            const std::string_view known = Scorer::columns.names[i];
            if (name == known) return i;
            if (name != known.substr(0, known.find(':'))) continue;
            if (found < Scorer::columns.count) throw "two of the scorer's `columns` begin with this name";
            found = i;
        }
        if (found == Scorer::columns.count) throw "the scorer's `columns` do not name this column";
        return found;
    }
    std::size_t value_;
};

/// What Head and Batch both tell of the layer.
class Layer {
public:
    explicit Layer(const evl_batch& batch) : batch_(&batch) {}
    std::size_t tokens() const { return batch_->tokens; }
    std::size_t layer() const { return batch_->layer; } ///< from 0
    std::size_t num_layers() const { return batch_->num_layers; }
    double layer_ratio() const { return static_cast<double>(layer()) / static_cast<double>(num_layers()); }
    std::size_t sequence_len() const { return batch_->sequence_len; } ///< tokens seen so far, evicted ones included
    /// Of a scorer whose info says `budgeted`: the share to be evicted, in [0, 1], and the tokens that each head keeps.
    /// 0 where there is no budget.
    double removed_fraction() const { return since_1_1() ? batch_->removed_fraction : 0; }
    std::size_t kept() const { return since_1_1() ? batch_->kept : 0; }
    /// Of a scorer whose info says `tensors`: the layer's q, k and v. Else null.
    const evl_tensors* tensors() const { return since_1_1() ? batch_->tensors : nullptr; }
    /// The i-th of the scorer's `tables`.
    const evl_table& table(std::size_t i) const { return *batch_->tables[i]; }

protected:
    const evl_batch* batch_;

private:
    bool since_1_1() const { return batch_->struct_size >= offsetof(evl_batch, tensors) + sizeof(void*); }
};

/// The cached tokens of one KV head of one layer, as Scorer's columns. A view: valid during the score call,
/// read-only.
template <class Scorer>
class Head : public Layer {
public:
    Head(const evl_batch& batch, std::size_t index) : Layer(batch), index_(index) {}
    /// [tokens] values of one column: head["position"].
    std::span<const double> operator[](ColumnIndex<Scorer> column) const {
        const auto stride = batch_->head_stride[column.value()];
        return {batch_->columns[column.value()] + static_cast<std::ptrdiff_t>(index_) * stride, tokens()};
    }
    std::size_t index() const { return index_; } ///< of the KV head, from 0

private:
    std::size_t index_;
};

/// All KV heads of one layer, for scorers that look across heads: `void score(Batch<Mine>, std::span<double>)`,
/// where the scores are [heads][tokens].
template <class Scorer>
class Batch : public Layer {
public:
    using Layer::Layer;
    std::size_t heads() const { return batch_->heads; }
    Head<Scorer> head(std::size_t index) const { return {*batch_, index}; }
    /// The scores of one head among those of all.
    template <class Value>
    std::span<Value> row(std::span<Value> scores, std::size_t index) const {
        return scores.subspan(index * tokens(), tokens());
    }
};

/// A layer whose scores are known, for model_budgets. A view: valid during that call.
class ScoredLayer {
public:
    explicit ScoredLayer(const evl_scored_layer& layer) : layer_(&layer) {}
    std::size_t layer() const { return layer_->layer; } ///< from 0
    std::size_t heads() const { return layer_->heads; }
    std::size_t tokens() const { return layer_->tokens; }
    std::size_t kept() const { return layer_->kept; } ///< K of each head, or the layer's budget, as Layer::kept()
    /// [heads][tokens]; keep and drop may be among them.
    std::span<const double> scores() const { return {layer_->scores, heads() * tokens()}; }
    double fact(std::size_t index) const { return layer_->facts[index]; } ///< below Scorer::facts

private:
    const evl_scored_layer* layer_;
};

/// The layers of a model that are there, in order. A view, as ScoredLayer.
class Model {
public:
    explicit Model(const evl_model_query& query) : query_(&query) {}
    std::size_t size() const { return query_->layer_count; }      ///< layers that are held
    std::size_t num_layers() const { return query_->num_layers; } ///< of the model: not all may be held
    double removed_fraction() const { return query_->removed_fraction; }
    ScoredLayer operator[](std::size_t index) const {
        const auto* first = reinterpret_cast<const unsigned char*>(query_->layers);
        return ScoredLayer(*reinterpret_cast<const evl_scored_layer*>(first + index * query_->layer_size));
    }

private:
    const evl_model_query* query_;
};

} // namespace evictlab

#pragma GCC visibility pop

#include <evictlab/scorer_glue.hpp>

/// Exports the scorer of this plugin, once in a library: EVICTLAB_SCORER(Mine), or EVICTLAB_SCORER(Mine,
/// MineAsInThePaper) for several rules under one id, which is then chosen by the preset's name.
#define EVICTLAB_SCORER(...)                                                                                           \
    extern "C" constinit const evl_plugin evictlab_scorer = evictlab::glue::plugin<__VA_ARGS__>();
