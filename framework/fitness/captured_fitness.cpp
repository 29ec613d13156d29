// SPDX-License-Identifier: MIT
#include "framework/fitness/captured_fitness.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "base/statistics/geometric_mean.hpp"
#include "framework/cut/kept_hash.hpp"
#include "framework/fitness/held_layer.hpp"

namespace evictlab {
namespace {

constexpr std::size_t jobs_a_task = 16;
constexpr std::size_t sampled_heads = 16;     // of kept_hash()
constexpr std::size_t output_error_work = 32; // of one retention, as many times that of scoring and ranking a token

/// What of a split is measured at once. A unit is what a figure is of: a block, or for predicted_kl a whole document.
struct Part {
    CapturedMeasure measure = CapturedMeasure::output_error;
    std::vector<std::size_t> units, retentions; ///< indices
};

/// A part by which a race decides.
struct Heat {
    std::string name;
    Part part;
    std::vector<std::size_t> compared; ///< units whose figures decide: measured in this heat or before it
    bool screens = false;              ///< in another measure than the fitness
};

/// [job][unit][retention]
class ErrorTable {
public:
    ErrorTable(std::size_t jobs, std::size_t width) : width_(width), values_(jobs * width) {}
    double* of(std::size_t job) { return values_.data() + job * width_; }

private:
    std::size_t width_;
    std::vector<double> values_;
};

std::vector<std::size_t> indices_below(std::size_t end) {
    std::vector<std::size_t> all(end);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
}

} // namespace

struct CapturedFitness::Impl {
    std::vector<double> retentions;
    std::vector<ColumnId> ids;
    std::size_t every = 1;
    CapturedMeasure measure = CapturedMeasure::output_error;
    OutputMetrics metrics;
    std::array<std::vector<HeldLayer>, 2> blocks;      ///< by SearchSplit
    std::array<std::vector<std::size_t>, 2> documents; ///< of each block
    std::array<std::size_t, 2> traces{}, tokens{};

    void load(SearchSplit split, std::span<const TracePtr> from) {
        const auto s = static_cast<std::size_t>(split);
        traces[s] = from.size();
        std::vector<std::pair<std::size_t, std::size_t>> places;
        for (std::size_t t = 0; t < from.size(); ++t)
            for (const std::size_t layer : from[t]->held_layers()) places.emplace_back(t, layer);
        std::vector<std::optional<HeldLayer>> made(places.size());
        tbb::parallel_for(std::size_t{0}, places.size(), [&](std::size_t i) {
            const auto [t, layer] = places[i];
            const CapturedTrace& trace = *from[t]->captured();
            const OutputMetric* metric = measure == CapturedMeasure::output_error ? metrics.of(trace, layer) : nullptr;
            made[i].emplace(trace, layer, t,
                            BlockContent{ids, retentions, metric, measure == CapturedMeasure::predicted_kl, every});
        });
        blocks[s].reserve(made.size());
        for (auto& block : made) {
            documents[s].push_back(block->document());
            tokens[s] += block->heads() * block->tokens();
            blocks[s].push_back(std::move(*block));
        }
    }

    /// Of one document, whose layers' responses are summed before they are squared.
    void predict_kl(std::size_t split, std::size_t document, const FitnessJob& job, std::span<const std::size_t> at,
                    BlockScratch& scratch, double* errors) const {
        const auto& all = blocks[split];
        const std::span<const HeldLayer> layers(std::ranges::lower_bound(all, document, {}, &HeldLayer::document),
                                                std::ranges::upper_bound(all, document, {}, &HeldLayer::document));
        const std::size_t count = layers.front().judge().responses();
        scratch.responses.assign(count * retentions.size(), 0.0F);
        const auto of = [&](std::size_t r) { return std::span(scratch.responses).subspan(r * count, count); };
        for (const HeldLayer& block : layers)
            block.judge(job, at, scratch,
                        [&](std::size_t r, const Damage&) { block.judge().respond(scratch.judge, of(r)); });
        for (const std::size_t r : at) errors[r] = predicted_kl(of(r));
    }

    std::size_t units(std::size_t split, CapturedMeasure by) const {
        return by == CapturedMeasure::predicted_kl ? traces[split] : blocks[split].size();
    }
    std::size_t document_of(std::size_t split, CapturedMeasure by, std::size_t unit) const {
        return by == CapturedMeasure::predicted_kl ? unit : documents[split][unit];
    }

    Part whole(std::size_t split, CapturedMeasure by) const {
        return {by, indices_below(units(split, by)), indices_below(retentions.size())};
    }

    /// The lowest retention, which weighs most and costs least.
    std::size_t hardest() const {
        return static_cast<std::size_t>(std::ranges::min_element(retentions) - retentions.begin());
    }

    /// Attention loss everywhere, then the fitness at the hardest retention: of every second document, then of the
    /// others. None where attention loss is the fitness.
    std::vector<Heat> heats() const {
        if (measure == CapturedMeasure::attention_loss) return {};
        constexpr auto train = static_cast<std::size_t>(SearchSplit::train);
        std::vector<Heat> list{{"attention loss", whole(train, CapturedMeasure::attention_loss),
                                indices_below(blocks[train].size()), true}};
        const std::string name = fmt::format(
            "{} at retention {}", measure == CapturedMeasure::output_error ? "output error" : "predicted KL divergence",
            retentions[hardest()]);
        Heat half{name + " of half of the documents", {measure, {}, {hardest()}}, {}, false};
        Heat others{name, {measure, {}, {hardest()}}, indices_below(units(train, measure)), false};
        for (std::size_t u = 0; u < units(train, measure); ++u)
            (document_of(train, measure, u) % 2 == 0 ? half : others).part.units.push_back(u);
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
    Part rest() const {
        constexpr auto train = static_cast<std::size_t>(SearchSplit::train);
        Part part = whole(train, measure);
        if (measure != CapturedMeasure::attention_loss) std::erase(part.retentions, hardest());
        return part;
    }

    /// One a unit: the mean over the heat's retentions. `errors` are of one job.
    std::vector<double> figures(const Heat& heat, const double* errors) const {
        std::vector<double> list;
        for (const std::size_t u : heat.compared) {
            double sum = 0;
            for (const std::size_t r : heat.part.retentions) sum += errors[u * retentions.size() + r];
            list.push_back(sum / static_cast<double>(heat.part.retentions.size()));
        }
        return list;
    }

    /// Into `errors` of the jobs with these indices.
    void measure_part(std::size_t split, const Part& part, std::span<const FitnessJob> jobs,
                      std::span<const std::size_t> which, ErrorTable& errors) const {
        const std::size_t groups = (which.size() + jobs_a_task - 1) / jobs_a_task;
        tbb::parallel_for(std::size_t{0}, groups * part.units.size(), [&](std::size_t task) {
            const std::size_t unit = part.units[task % part.units.size()];
            const std::size_t first = task / part.units.size() * jobs_a_task;
            static thread_local BlockScratch scratch;
            for (std::size_t i = first; i < std::min(which.size(), first + jobs_a_task); ++i)
                measure_unit(split, part, unit, jobs[which[i]], scratch,
                             errors.of(which[i]) + unit * retentions.size());
        });
    }

    void measure_unit(std::size_t split, const Part& part, std::size_t unit, const FitnessJob& job,
                      BlockScratch& scratch, double* out) const {
        if (part.measure == CapturedMeasure::attention_loss)
            blocks[split][unit].attention_loss(job, scratch, out);
        else if (part.measure == CapturedMeasure::output_error)
            blocks[split][unit].judge(job, part.retentions, scratch,
                                      [out](std::size_t r, const Damage& damage) { out[r] = damage.output_error; });
        else
            predict_kl(split, unit, job, part.retentions, scratch, out);
    }

    /// Of `sampled_heads` heads, spread evenly over documents, layers and heads.
    std::uint64_t kept_hash(const FitnessJob& job) const {
        const auto& train = blocks[static_cast<std::size_t>(SearchSplit::train)];
        std::size_t heads = 0;
        for (const HeldLayer& block : train) heads += block.heads();
        const std::size_t count = std::min(sampled_heads, heads);
        static thread_local BlockScratch scratch;
        KeptHash hash;
        std::size_t sampled = 0, head = 0; // of all heads of the split
        for (const HeldLayer& block : train)
            for (std::size_t a = 0; a < block.heads(); ++a, ++head) {
                if (sampled == count || head != spread_place(sampled, count, heads)) continue;
                ++sampled;
                const double* scores = block.score(job, a, scratch);
                for (const std::size_t kept : block.kept()) hash.add(top_k({scores, block.tokens()}, kept));
            }
        return hash.value();
    }

    FormulaErrors summarise(std::size_t split, CapturedMeasure by, const double* errors) const {
        if (by != CapturedMeasure::predicted_kl)
            return mean_over_documents(documents[split], traces[split], retentions.size(), errors);
        const std::size_t count = retentions.size();
        FormulaErrors out;
        for (std::size_t d = 0; d < traces[split]; ++d)
            out.by_document.emplace_back(errors + d * count, errors + (d + 1) * count);
        out.by_retention = geometric_means(out.by_document);
        for (const double error : out.by_retention) out.average += error / static_cast<double>(count);
        return out;
    }
};

CapturedFitness::CapturedFitness(const Suite& suite, std::vector<double> retentions, std::span<const ColumnId> columns,
                                 CapturedMeasure measure, std::size_t memory_limit, std::size_t every)
    : impl_(std::make_unique<Impl>()) {
    impl_->retentions = std::move(retentions);
    impl_->ids.assign(columns.begin(), columns.end());
    std::ranges::sort(impl_->ids);
    impl_->ids.erase(std::unique(impl_->ids.begin(), impl_->ids.end()), impl_->ids.end());
    impl_->measure = measure;
    impl_->every = every;
    const SearchTraces traces = suite.search_traces();
    if (measure == CapturedMeasure::predicted_kl && !suite.has_sensitivities())
        throw Error(fmt::format("not every trace of suite '{}' holds sensitivities, so no KL divergence can be "
                                "predicted on it; use output_error, or capture it with --probes 8",
                                suite.name()));
    double needed = 0;
    for (const auto& split : {traces.train, traces.valid})
        for (const TracePtr& trace : split)
            for (const std::size_t layer : trace->held_layers()) {
                const CapturedTrace& captured = *trace->captured();
                const LayerShape shape = captured.shape(layer);
                const auto n = static_cast<double>(captured.prompt_len());
                const auto judged = (shape.tokens - captured.prompt_len() + every - 1) / every;
                if (measure == CapturedMeasure::predicted_kl)
                    needed += static_cast<double>(captured.probes() * judged * shape.query_heads * shape.dim * 4);
                needed += n * (static_cast<double>(shape.query_heads * judged) * 4 +
                               static_cast<double>(shape.kv_heads * (impl_->ids.size() + 1)) * 8);
                if (measure == CapturedMeasure::output_error && !captured.output_projections())
                    throw Error(
                        fmt::format("suite '{}' has no output projections (model.safetensors), so no output error "
                                    "can be measured on it; use attention_loss",
                                    suite.name()));
            }
    if (needed > static_cast<double>(memory_limit))
        throw Error(
            fmt::format("the train and valid splits of suite '{}' would need {:.1f} GB of memory while searching; "
                        "the limit is {:.1f} GB. Search on fewer documents, for instance --patterns {}",
                        suite.name(), needed / 1e9, static_cast<double>(memory_limit) / 1e9,
                        std::max(1, static_cast<int>(static_cast<double>(traces.train.size()) *
                                                     static_cast<double>(memory_limit) / needed / 2))));
    impl_->load(SearchSplit::train, traces.train);
    impl_->load(SearchSplit::valid, traces.valid);
}

CapturedFitness::~CapturedFitness() = default;

std::string_view to_string(CapturedMeasure measure) {
    constexpr std::array<std::string_view, 3> names{"attention_loss", "output_error", "predicted_kl"};
    return names[static_cast<std::size_t>(measure)];
}

std::vector<FormulaErrors> CapturedFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs,
                                                     CapturedMeasure measure) const {
    const auto s = static_cast<std::size_t>(split);
    ErrorTable errors(jobs.size(), impl_->units(s, measure) * impl_->retentions.size());
    impl_->measure_part(s, impl_->whole(s, measure), jobs, indices_below(jobs.size()), errors);
    std::vector<FormulaErrors> out(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j) out[j] = impl_->summarise(s, measure, errors.of(j));
    return out;
}

std::vector<std::string> CapturedFitness::heats() const {
    std::vector<std::string> names;
    for (const Heat& heat : impl_->heats()) names.push_back(heat.name);
    return names;
}

std::vector<RaceResult> CapturedFitness::race(std::span<const FitnessJob> jobs, const StaysInRace& stays) const {
    constexpr auto train = static_cast<std::size_t>(SearchSplit::train);
    const std::vector<Heat> heats = impl_->heats();
    ErrorTable errors(jobs.size(), impl_->units(train, impl_->measure) * impl_->retentions.size());
    ErrorTable screened(jobs.size(), impl_->blocks[train].size() * impl_->retentions.size());
    std::vector<RaceResult> results(jobs.size());
    std::vector<std::size_t> left = indices_below(jobs.size());
    for (std::size_t h = 0; h < heats.size(); ++h) {
        ErrorTable& table = heats[h].screens ? screened : errors;
        impl_->measure_part(train, heats[h].part, jobs, left, table);
        std::erase_if(left, [&](std::size_t job) {
            if (stays(h, job, impl_->figures(heats[h], table.of(job)))) return false;
            results[job].finished = false;
            results[job].left_in = h;
            return true;
        });
    }
    impl_->measure_part(train, impl_->rest(), jobs, left, errors);
    for (const std::size_t job : left) results[job].errors = impl_->summarise(train, impl_->measure, errors.of(job));
    return results;
}

std::optional<std::uint64_t> CapturedFitness::kept_hash(const FitnessJob& job) const { return impl_->kept_hash(job); }

std::vector<FormulaErrors> CapturedFitness::evaluate(SearchSplit split, std::span<const FitnessJob> jobs) const {
    return evaluate(split, jobs, impl_->measure);
}

std::span<const double> CapturedFitness::retentions() const { return impl_->retentions; }

std::span<const ColumnId> CapturedFitness::columns() const { return impl_->ids; }

std::size_t CapturedFitness::work(SearchSplit split) const {
    const std::size_t tokens = impl_->tokens[static_cast<std::size_t>(split)];
    return impl_->measure == CapturedMeasure::attention_loss ? tokens
                                                             : tokens * output_error_work * impl_->retentions.size();
}

} // namespace evictlab
