// SPDX-License-Identifier: MIT
#include "tests/support/methods_presses.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "framework/attention/wov_norms.hpp"
#include "framework/columns/column.hpp"
#include "framework/cut/top_k.hpp"
#include "framework/protocols/cache_choosers.hpp"
#include "framework/scoring/model_selection.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "framework/scoring/scorer_run.hpp"
#include "framework/suite/trace.hpp"
#include "tests/support/made_columns.hpp"
#include "tests/support/methods_reference.hpp"

namespace evictlab::test {

namespace {

constexpr Press presses[] = {
    {"streaming_llm", "streaming_llm@kvpress", true},
    {"observed_attention", "observed_attention@kvpress"},
    {"snapkv", "snapkv@kvpress"},
    {"snapkv_w32k7", "snapkv@kvpress:window=32,kernel=7"},
    {"snapkv_w8k1", "snapkv@kvpress:window=8,kernel=1"},
    {"pyramidkv", "pyramidkv@kvpress"},
    {"pyramidkv_w8k7b5", "pyramidkv@kvpress:window=8,kernel=7,beta=5"},
    {"knorm", "knorm@kvpress"},
    {"tova", "tova@kvpress"},
    {"expected_attention", "expected_attention@kvpress"},
    {"expected_attention_eps", "expected_attention@kvpress:epsilon=0.01"},
    {"expected_attention_mean", "expected_attention@kvpress:future=64,sinks=8,use_covariance=0,use_vnorm=0"},
    {"keydiff", "keydiff@kvpress"},
    {"block_keydiff", "keydiff@paper", false, false},
    {"block_keydiff_b32", "keydiff@paper:block=32", false, false},
    {"lagkv", "lagkv@kvpress"},
    {"lagkv_lag32", "lagkv@kvpress:lag=32"},
    {"lagkv_lag160", "lagkv@kvpress:lag=160"},
    {"lagkv_lag32_cross", "lagkv@kvpress:lag=32,cross_scoring=1"},
    {"adakv_snapkv", "adakv@kvpress(snapkv@kvpress)", false, false},
    {"adakv_snapkv_w32k7", "adakv@kvpress(snapkv@kvpress:window=32,kernel=7)", false, false},
    {"adakv_expected_attention", "adakv@kvpress(expected_attention@kvpress)", false, false},
    {"adakv_expected_attention_eps", "adakv@kvpress(expected_attention@kvpress:epsilon=0.01)", false, false},
    {"criticalkv_snapkv", "criticalkv@kvpress(snapkv@kvpress)", true},
    {"criticalkv_snapkv_w32k7", "criticalkv@kvpress(snapkv@kvpress:window=32,kernel=7)", true},
    {"criticalkv_expected_attention", "criticalkv@kvpress(expected_attention@kvpress:use_vnorm=0)", true},
    {"criticaladakv_snapkv_w32k7", "criticaladakv@kvpress(snapkv@kvpress:window=32,kernel=7)", false, false},
    {"chunkkv_snapkv", "chunkkv@kvpress(snapkv@kvpress)", false, false},
    {"chunkkv_snapkv_w32k7c10", "chunkkv@kvpress:chunk_length=10(snapkv@kvpress:window=32,kernel=7)", false, false},
    {"chunkkv_knorm", "chunkkv@kvpress(knorm@kvpress)", false, false},
};

evl_tensors tensors_of(const MethodsLayer& layer) {
    evl_tensors tensors{};
    tensors.struct_size = sizeof tensors;
    tensors.query_heads = static_cast<std::uint32_t>(layer.query_heads);
    tensors.kv_heads = static_cast<std::uint32_t>(layer.kv_heads);
    tensors.tokens = static_cast<std::uint32_t>(layer.tokens);
    tensors.dim = static_cast<std::uint32_t>(layer.dim);
    tensors.q = layer.q.data();
    tensors.k = layer.k.data();
    tensors.v = layer.v.data();
    tensors.q_stride = tensors.k_stride = tensors.v_stride = static_cast<std::ptrdiff_t>(layer.tokens * layer.dim);
    tensors.softmax_scale = 1 / std::sqrt(static_cast<double>(layer.dim));
    return tensors;
}

OwnedLayer product_tensors(const MethodsLayer& layer) {
    OwnedLayer tensors;
    tensors.shape = {layer.query_heads, layer.kv_heads, layer.tokens, layer.dim};
    tensors.q.assign(layer.q.begin(), layer.q.end());
    tensors.k.assign(layer.k.begin(), layer.k.end());
    tensors.v.assign(layer.v.begin(), layer.v.end());
    for (std::size_t m = 0; m < layer.dim / 2; ++m)
        tensors.rope_inv_freq.push_back(static_cast<float>(
            std::pow(layer.rope_theta, -2.0 * static_cast<double>(m) / static_cast<double>(layer.dim))));
    tensors.softmax_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(layer.dim)));
    return tensors;
}

} // namespace

std::span<const Press> kvpress_presses() { return presses; }

std::vector<double> known_reference_column(const MethodsLayer& layer, const std::string& column) {
    static std::map<std::pair<const MethodsLayer*, std::string>, std::vector<double>> known;
    auto& values = known[{&layer, column}];
    if (values.empty()) values = reference_column(layer, column);
    return values;
}

std::vector<double> product_column(const MethodsLayer& layer, const std::string& column) {
    const OwnedLayer tensors = product_tensors(layer);
    const AttentionRows rows(tensors.view());
    const std::vector<double> token_type(padded(layer.tokens));
    LayerView view = tensors.view();
    view.layer = layer.layer;
    view.num_layers = layer.num_layers;
    view.prompt = layer.tokens;
    view.token_type = token_type.data();
    view.wov_norm = layer.wov_l1.data();
    view.calibration = layer.calibration;
    const ColumnId id = columns::intern(column);
    PromptColumns computed(view, &rows, {&id, 1});
    std::ptrdiff_t stride = 0;
    const double* values = computed.columns().filled(0, stride);
    std::vector<double> out;
    for (std::size_t head = 0; head < layer.kv_heads; ++head)
        out.insert(out.end(), values + static_cast<std::ptrdiff_t>(head) * stride,
                   values + static_cast<std::ptrdiff_t>(head) * stride + static_cast<std::ptrdiff_t>(layer.tokens));
    return out;
}

std::vector<float> product_wov_norms(const MethodsLayer& layer) {
    const OwnedLayer tensors = product_tensors(layer);
    return wov_norms(tensors.view(), layer.o_proj);
}

namespace {

PluginHost& host() {
    static PluginHost found;
    return found;
}

/// A fixture's layer as a scorer sees it. Not movable.
struct FixtureInput {
    FixtureInput(const MethodsLayer& layer, const ColumnSource& source) : tensors(tensors_of(layer)) {
        input.layer = layer.layer;
        input.num_layers = layer.num_layers;
        input.heads = layer.kv_heads;
        input.tokens = input.sequence_len = layer.tokens;
        input.tensors = &tensors;
        input.calibration = layer.calibration ? layer.calibration->whole : nullptr;
        columns_of_layer.of = [&](ColumnId id) -> ColumnValues {
            auto& column = values[id];
            if (column.empty()) {
                column = source(layer, columns::name(id));
                column.resize(column.size() + row_padding);
            }
            return {column.data(), static_cast<std::ptrdiff_t>(layer.tokens)};
        };
        input.columns = &columns_of_layer;
    }
    FixtureInput(const FixtureInput&) = delete;
    std::map<ColumnId, std::vector<double>> values;
    evl_tensors tensors;
    MadeColumns columns_of_layer;
    LayerInput input;
};

} // namespace

Selected select(const std::string& text, const MethodsLayer& layer, double removed_fraction,
                const ColumnSource& source) {
    const Scorer scorer = make_scorer(text, host());
    const FixtureInput made(layer, source);
    Selected selected;
    std::vector<std::size_t> counts;
    ScorerRun(scorer).select(made.input, removed_fraction, selected.scores, counts);
    for (std::size_t head = 0; head < layer.kv_heads; ++head) {
        const auto row = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
        const auto positions = top_k(row, counts[head]);
        selected.kept.emplace_back(positions.begin(), positions.end());
    }
    return selected;
}

std::vector<Selected> select_of_model(const std::string& text, double removed_fraction, const ColumnSource& source) {
    const Scorer scorer = make_scorer(text, host());
    const ScorerRun run(scorer);
    ModelSelection model({removed_fraction});
    constexpr std::size_t numbers[] = {0, 14, 29};
    for (const std::size_t number : numbers) model.add(run, FixtureInput(methods_layer(number), source).input);
    model.divide(run);
    std::vector<Selected> selected;
    for (const std::size_t number : numbers) {
        const auto scores = model.scores(0, number);
        Selected& layer = selected.emplace_back();
        layer.scores.assign(scores.begin(), scores.end());
        for (const auto& positions : model.kept(0, number)) layer.kept.emplace_back(positions.begin(), positions.end());
    }
    return selected;
}

std::vector<std::vector<std::size_t>> kept_by_decoding(const std::string& text, const MethodsLayer& layer,
                                                       std::size_t prompt, std::size_t interval) {
    const Scorer scorer = make_scorer(text, host());
    const ScorerRun run(scorer);
    const OwnedLayer tensors = product_tensors(layer);
    const std::vector<double> token_type(padded(layer.tokens));
    LayerView view = tensors.view();
    view.prompt = prompt;
    view.token_type = token_type.data();
    const AttentionRows rows(view);
    const ColumnPlaces places(scorer.columns());
    PromptColumns columns(view, &rows, places.ids());
    const BoardColumns by_id(places, columns.columns());
    PromptInput input(view, &rows, by_id);
    ThresholdChooser chooser(run, {view, columns.columns(), input}, layer.tokens, nullptr);
    CachedHeads heads;
    for (std::size_t a = 0; a < layer.kv_heads; ++a) heads.emplace_back(view, a);
    const KeptSets first = chooser.first(0.5);
    for (std::size_t a = 0; a < heads.size(); ++a)
        for (const std::uint32_t position : first[a]) heads[a].add(position);
    for (std::size_t i = prompt; i < layer.tokens; ++i) {
        for (CachedHead& head : heads) {
            head.add(i);
            head.attend(i);
        }
        chooser.saw(heads);
        if ((i - prompt + 1) % interval != 0 || !chooser.full(heads, 0)) continue;
        const KeptSets slots = chooser.again(heads, 0);
        for (std::size_t a = 0; a < heads.size(); ++a) heads[a].keep(slots[a]);
    }
    std::vector<std::vector<std::size_t>> kept;
    for (const CachedHead& head : heads) {
        auto& positions = kept.emplace_back();
        for (std::size_t slot = 0; slot < head.tokens(); ++slot) positions.push_back(head.position(slot));
    }
    return kept;
}

std::vector<double> facts_of(const std::string& text, const MethodsLayer& layer, double removed_fraction,
                             const ColumnSource& source) {
    const Scorer scorer = make_scorer(text, host());
    const FixtureInput made(layer, source);
    const ScorerRun run(scorer);
    LayerSelection selection(run, made.input);
    selection.select(removed_fraction);
    return selection.facts();
}

double worst_difference(std::span<const double> scores, std::span<const float> expected) {
    double worst = scores.size() == expected.size() ? 0 : HUGE_VAL;
    for (std::size_t i = 0; i < std::min(scores.size(), expected.size()); ++i) {
        const double wanted = double{expected[i]}, highest = double{std::numeric_limits<float>::max()};
        if ((scores[i] == highest) != (wanted == highest)) return HUGE_VAL;
        if (scores[i] != wanted) worst = std::max(worst, std::abs(scores[i] - wanted) / std::abs(wanted));
    }
    return worst;
}

std::string difference(const std::vector<std::size_t>& kept, const std::vector<std::size_t>& expected,
                       std::span<const double> scores, double gap) {
    if (kept == expected) return {};
    if (kept.size() != expected.size())
        return "keeps " + std::to_string(kept.size()) + " instead of " + std::to_string(expected.size());
    std::vector<std::size_t> other;
    std::ranges::set_symmetric_difference(kept, expected, std::back_inserter(other));
    if (gap > 1e-5) return "differs at position " + std::to_string(other[0]) + " without a tie";
    double boundary = HUGE_VAL;
    for (const std::size_t j : kept) boundary = std::min(boundary, scores[j]);
    for (const std::size_t j : other)
        if (std::abs(scores[j] - boundary) > 1e-5 * std::abs(boundary))
            return "differs at position " + std::to_string(j) + ", whose score is not at the boundary";
    return {};
}

} // namespace evictlab::test
