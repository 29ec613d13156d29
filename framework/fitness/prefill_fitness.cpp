// SPDX-License-Identifier: MIT
#include "framework/fitness/prefill_fitness.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/statistics/geometric_mean.hpp"
#include "framework/cut/budget.hpp"
#include "framework/cut/join.hpp"

namespace evictlab {
namespace {

constexpr std::size_t jobs_a_task = 16;
constexpr std::size_t output_error_work = 32; // of one retention, as many times that of scoring and ranking a token

std::vector<ColumnId> ascending(std::span<const ColumnId> columns) {
    const ColumnPlaces places(columns);
    return {places.ids().begin(), places.ids().end()};
}

} // namespace

/// A part by which a race decides.
struct PrefillFitness::Heat {
    std::string name;
    UnitPart part;
    std::vector<std::size_t> compared; ///< units whose figures decide: measured in this heat or before it
    bool screens = false;              ///< in another measure than the fitness
};

PrefillFitness::PrefillFitness(const Suite& suite, std::vector<double> retentions, std::span<const ColumnId> columns,
                               Measure measure, std::size_t memory_limit, std::size_t every, const Shape& shape,
                               std::vector<std::size_t> keep, const UnitPlace& place)
    : HeldFitness(std::move(retentions), ascending(columns), jobs_a_task, place.elsewhere), measure_(measure),
      every_(every), shape_(shape), keep_(std::move(keep)) {
    check_suite(suite);
    if (!holds_units()) return;
    const SearchTraces traces = place.documents.value_or(suite.search_traces());
    double needed = 0;
    for (const auto& from : {traces.train, traces.valid})
        for (const TracePtr& trace : from) needed += bytes_needed(*trace->captured());
    check_memory(fmt::format("suite '{}'", suite.name()), needed, memory_limit, traces.train.size());
    splits_ = {load(traces.train, layouts_[0]), load(traces.valid, layouts_[1])};
    list_train_heads();
}

void PrefillFitness::list_train_heads() {
    const Layers& train = layers(SearchSplit::train);
    for (std::size_t i = 0; i < train.size(); ++i) { // of those that share a set one
        if (one_set() && i > 0 && train[i].document() == train[i - 1].document()) continue;
        const std::size_t heads = shape_.granularity == Granularity::head ? train[i].heads() : 1;
        for (std::size_t a = 0; a < heads; ++a) {
            train_heads_.emplace_back(i, a);
            layouts_[0].head_documents.push_back(train[i].document());
        }
    }
}

void PrefillFitness::check_suite(const Suite& suite) const {
    if (measure_ == Measure::predicted_kl && !suite.has_sensitivities())
        throw Error(fmt::format("not every trace of suite '{}' holds sensitivities, so no KL divergence can be "
                                "predicted on it; use output_error, or capture it with 8 probes",
                                suite.name()));
    const SearchTraces traces = suite.search_traces();
    for (const auto& from : {traces.train, traces.valid})
        for (const TracePtr& trace : from) check_budgets(*trace);
    for (const auto& from : {traces.train, traces.valid})
        for (const TracePtr& trace : from)
            if (measure_ == Measure::output_error && !trace->captured()->output_projections())
                throw Error(fmt::format("suite '{}' has no output projections (model.safetensors), so no output error "
                                        "can be measured on it; use attention_loss",
                                        suite.name()));
}

void PrefillFitness::check_budgets(const Trace& trace) const {
    const std::size_t n = trace.captured()->prompt_len();
    const std::vector<std::size_t> kept = kept_counts(n, retentions_, keep_);
    for (std::size_t r = 0; r < kept.size(); ++r)
        if (const std::string why = too_few(n, kept[r], shape_); !why.empty())
            throw UsageError(fmt::format("trace {}, retention {} of {}: {}", trace.name(), retentions_[r], n, why));
}

double PrefillFitness::bytes_needed(const CapturedTrace& trace) const {
    double needed = 0;
    const auto n = static_cast<double>(trace.prompt_len());
    for (const std::size_t layer : trace.held_layers()) {
        const LayerShape shape = trace.shape(layer);
        const auto judged = (shape.tokens - trace.prompt_len() + every_ - 1) / every_;
        if (measure_ == Measure::predicted_kl)
            needed += static_cast<double>(trace.probes() * judged * shape.query_heads * shape.dim * 4);
        needed += n * (static_cast<double>(shape.query_heads * judged) * 4 +
                       static_cast<double>(shape.kv_heads * (columns_.size() + 1)) * 8);
    }
    return needed;
}

PrefillFitness::Layers PrefillFitness::load(std::span<const TracePtr> from, UnitLayout& layout) const {
    std::vector<std::optional<HeldLayer>> made;
    for_each_layer(
        from, [&](std::size_t count) { made.resize(count); },
        [&](std::size_t i, const Trace& trace, std::size_t layer, std::size_t document) {
            const CapturedTrace& captured = *trace.captured();
            const OutputMetric* metric = measure_ == Measure::output_error ? metrics_.of(captured, layer) : nullptr;
            made[i].emplace(captured, layer, document,
                            HeldContent{places_, kept_counts(captured.prompt_len(), retentions_, keep_), shape_, metric,
                                        measure_ == Measure::predicted_kl, every_});
        });
    Layers layers;
    layers.reserve(made.size());
    layout.traces = from.size();
    for (auto& layer : made) {
        layout.documents.push_back(layer->document());
        layout.tokens += layer->heads() * layer->tokens();
        layers.push_back(std::move(*layer));
    }
    return layers;
}

std::size_t PrefillFitness::units(SearchSplit split, Measure by) const {
    return by_document(by) ? layout(split).traces : layout(split).documents.size();
}

std::size_t PrefillFitness::document_of(SearchSplit split, Measure by, std::size_t unit) const {
    return by_document(by) ? unit : layout(split).documents[unit];
}

UnitPart PrefillFitness::part_of(SearchSplit split, Measure by, std::vector<std::size_t> units,
                                 std::vector<std::size_t> retentions) const {
    return {split, by, by_document(by), std::move(units), std::move(retentions)};
}

UnitPart PrefillFitness::whole(SearchSplit split, Measure by) const {
    return part_of(split, by, indices_below(units(split, by)), indices_below(retentions_.size()));
}

/// The lowest retention, which weighs most and costs least.
std::size_t PrefillFitness::hardest() const {
    return static_cast<std::size_t>(std::ranges::min_element(retentions_) - retentions_.begin());
}

std::vector<PrefillFitness::Heat> PrefillFitness::race_heats() const {
    if (measure_ == Measure::attention_loss) return {};
    constexpr SearchSplit train = SearchSplit::train;
    std::vector<Heat> list{{"attention loss", whole(train, Measure::attention_loss),
                            indices_below(units(train, Measure::attention_loss)), true}};
    const std::string name = fmt::format("{} at retention {}",
                                         measure_ == Measure::output_error ? "output error" : "predicted KL divergence",
                                         retentions_[hardest()]);
    const UnitPart none = part_of(train, measure_, {}, {hardest()});
    Heat half{name + " of half of the documents", none, {}, false};
    Heat others{name, none, indices_below(units(train, measure_)), false};
    for (std::size_t u = 0; u < units(train, measure_); ++u)
        (document_of(train, measure_, u) % 2 == 0 ? half : others).part.units.push_back(u);
    half.compared = half.part.units;
    if (others.part.units.empty()) { // one document
        others.part.units = half.part.units;
    } else {
        list.push_back(std::move(half));
    }
    list.push_back(std::move(others));
    return list;
}

/// What the heats leave to measure of the fitness.
UnitPart PrefillFitness::rest_of_race() const {
    UnitPart part = whole(SearchSplit::train, measure_);
    if (measure_ != Measure::attention_loss) std::erase(part.retentions, hardest());
    return part;
}

/// One a unit: the mean over the heat's retentions. `errors` are of one job.
std::vector<double> PrefillFitness::compared_figures(const Heat& heat, const double* errors) const {
    std::vector<double> list;
    for (const std::size_t u : heat.compared) {
        double sum = 0;
        for (const std::size_t r : heat.part.retentions) sum += errors[u * retentions_.size() + r];
        list.push_back(sum / static_cast<double>(heat.part.retentions.size()));
    }
    return list;
}

void PrefillFitness::measure_unit(const UnitPart& part, std::size_t unit, const FitnessJob& job, double* out) const {
    static thread_local HeldScratch scratch;
    const Layers& held = layers(part.split);
    if (one_set())
        measure_document(layers_of(held, unit), part.measure, job, part.retentions, scratch, out);
    else if (part.measure == Measure::attention_loss)
        held[unit].attention_loss(job, scratch, out);
    else if (part.measure == Measure::output_error)
        held[unit].evict(job, part.retentions, scratch,
                         [out](std::size_t r, const Damage& damage) { out[r] = damage.output_error; });
    else
        predict_kl(layers_of(held, unit), job, part.retentions, scratch, out);
}

std::span<const HeldLayer> PrefillFitness::layers_of(const Layers& layers, std::size_t document) {
    return {std::ranges::lower_bound(layers, document, {}, &HeldLayer::document),
            std::ranges::upper_bound(layers, document, {}, &HeldLayer::document)};
}

KeptSets PrefillFitness::document_sets(std::span<const HeldLayer> layers, const FitnessJob& job,
                                       std::span<const std::size_t> at, HeldScratch& scratch) const {
    const std::size_t n = layers.front().tokens();
    scratch.all_scores.clear();
    for (const HeldLayer& layer : layers) layer.add_scores(job, scratch.all_scores, scratch);
    const std::vector<double> one = joined(scratch.all_scores, n, shape_.join);
    KeptSets sets(retentions_.size());
    for (const std::size_t r : at) sets[r] = shaped_cut(one, layers.front().kept()[r], shape_);
    return sets;
}

/// All layers keep the same: errors are means over them, or what their responses foretell together.
void PrefillFitness::measure_document(std::span<const HeldLayer> layers, Measure measure, const FitnessJob& job,
                                      std::span<const std::size_t> at, HeldScratch& scratch, double* errors) const {
    const KeptSets sets = document_sets(layers, job, at, scratch);
    const std::size_t count = layers.front().damage().responses();
    std::vector<float> responses(measure == Measure::predicted_kl ? count : 0);
    for (const std::size_t r : at) {
        std::ranges::fill(responses, 0.0F);
        for (const HeldLayer& layer : layers) {
            const KeptSets kept(layer.heads(), sets[r]);
            const double share = 1 / static_cast<double>(layers.size());
            if (measure == Measure::attention_loss) {
                errors[r] += layer.loss_of(kept) * share;
                continue;
            }
            const Damage damage = layer.damage().of(kept, scratch.damage);
            if (measure == Measure::output_error)
                errors[r] += damage.output_error * share;
            else
                layer.damage().respond(scratch.damage, responses);
        }
        if (measure == Measure::predicted_kl) errors[r] = predicted_kl(responses);
    }
}

/// Of one document, whose layers' responses are summed before they are squared.
void PrefillFitness::predict_kl(std::span<const HeldLayer> layers, const FitnessJob& job,
                                std::span<const std::size_t> at, HeldScratch& scratch, double* errors) const {
    const std::size_t count = layers.front().damage().responses();
    scratch.responses.assign(count * retentions_.size(), 0.0F);
    const auto of = [&](std::size_t r) { return std::span(scratch.responses).subspan(r * count, count); };
    for (const HeldLayer& layer : layers)
        layer.evict(job, at, scratch,
                    [&](std::size_t r, const Damage&) { layer.damage().respond(scratch.damage, of(r)); });
    for (const std::size_t r : at) errors[r] = predicted_kl(of(r));
}

void PrefillFitness::add_kept(const FitnessJob& job, std::size_t train_head, KeptHash& hash) const {
    static thread_local HeldScratch scratch;
    const auto [index, head] = train_heads_[train_head];
    const Layers& train = layers(SearchSplit::train);
    const HeldLayer& layer = train[index];
    const std::vector<std::size_t> all = indices_below(retentions_.size());
    if (one_set()) {
        for (const auto& set : document_sets(layers_of(train, layer.document()), job, all, scratch)) hash.add(set);
    } else if (shape_.granularity == Granularity::layer) {
        scratch.all_scores.clear();
        layer.add_scores(job, scratch.all_scores, scratch);
        for (const std::size_t r : all) hash.add(layer.sets(scratch.all_scores, r, scratch).front());
    } else {
        const double* scores = layer.score(job, head, scratch);
        for (const std::size_t kept : layer.kept()) hash.add(shaped_cut({scores, layer.tokens()}, kept, shape_));
    }
}

FormulaErrors PrefillFitness::summarise(SearchSplit split, Measure by, const double* errors) const {
    const std::size_t traces = layout(split).traces, count = retentions_.size();
    if (by != Measure::predicted_kl)
        return mean_over_documents(one_set() ? indices_below(traces) : layout(split).documents, traces, count, errors);
    FormulaErrors out;
    for (std::size_t d = 0; d < traces; ++d) out.by_document.emplace_back(errors + d * count, errors + (d + 1) * count);
    out.by_retention = geometric_means(out.by_document);
    for (const double error : out.by_retention) out.average += error / static_cast<double>(count);
    return out;
}

std::vector<FormulaErrors> PrefillFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs,
                                                    Measure by) const {
    UnitErrors errors(jobs.size(), units(split, by), retentions_.size());
    measure(whole(split, by), jobs, indices_below(jobs.size()), errors);
    std::vector<FormulaErrors> out(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j) out[j] = summarise(split, by, errors.of(j));
    return out;
}

std::vector<FormulaErrors> PrefillFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    return evaluate(split, jobs, measure_);
}

std::vector<std::string> PrefillFitness::heats() const {
    std::vector<std::string> names;
    for (const Heat& heat : race_heats()) names.push_back(heat.name);
    return names;
}

std::vector<RaceResult> PrefillFitness::race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const {
    constexpr SearchSplit train = SearchSplit::train;
    const std::vector<Heat> heats = race_heats();
    UnitErrors errors(jobs.size(), units(train, measure_), retentions_.size());
    UnitErrors screened(jobs.size(), units(train, Measure::attention_loss), retentions_.size());
    std::vector<RaceResult> results(jobs.size());
    std::vector<std::size_t> left = indices_below(jobs.size());
    for (std::size_t h = 0; h < heats.size(); ++h) {
        UnitErrors& table = heats[h].screens ? screened : errors;
        measure(heats[h].part, jobs, left, table);
        std::erase_if(left, [&](std::size_t job) {
            if (stays(h, job, compared_figures(heats[h], table.of(job)))) return false;
            results[job].finished = false;
            results[job].left_in = h;
            return true;
        });
    }
    measure(rest_of_race(), jobs, left, errors);
    for (const std::size_t job : left) results[job].errors = summarise(train, measure_, errors.of(job));
    return results;
}

std::size_t PrefillFitness::work(SearchSplit split) const {
    const std::size_t tokens = layout(split).tokens;
    return measure_ == Measure::attention_loss ? tokens : tokens * output_error_work * retentions_.size();
}

} // namespace evictlab
