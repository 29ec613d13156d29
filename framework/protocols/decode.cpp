// SPDX-License-Identifier: MIT
#include "framework/protocols/decode.hpp"

#include <algorithm>
#include <limits>

#include "framework/capture/captured_trace.hpp"
#include "framework/protocols/cache_choosers.hpp"
#include "framework/protocols/captured_protocol.hpp"

namespace evictlab {
namespace {

constexpr double retentions[] = {0.1, 0.25, 0.5, 0.75};

/// The positions up to `query` that a head does not cache, ascending.
std::vector<std::uint32_t> evicted_of(const CachedHead& head, std::size_t query) {
    std::vector<std::uint32_t> evicted;
    std::size_t slot = 0;
    for (std::size_t j = 0; j <= query; ++j) {
        if (slot < head.tokens() && head.position(slot) == j)
            ++slot;
        else
            evicted.push_back(static_cast<std::uint32_t>(j));
    }
    return evicted;
}

/// Below, one minus what is cached has lost digits: a row in single precision adds up to 1 within some 1e-7.
constexpr double least_loss = 0.02;

class Decode final : public CapturedProtocol {
public:
    explicit Decode(const ProtocolSetup& setup) : CapturedProtocol(setup), schedule_(setup.schedule), bin_(setup.bin) {}
    std::string_view name() const override { return "decode"; }
    /// Keeps what the later judged queries attend to most. Strong, but a cache has no simple bound.
    std::vector<std::string> bounds() const override { return {"oracle"}; }
    /// The cache is cut again and again, and its blocks lie as its tokens do.
    void check(const Trace& trace) const override {
        CapturedProtocol::check(trace);
        const std::size_t prompt = trace.captured()->prompt_len(), end = trace.seq_len();
        for (std::size_t r = 0; r < retentions_.size(); ++r) {
            const std::size_t capacity = kept_count_for_removed(prompt, removed_fraction(r, prompt));
            const std::size_t longest = std::min(longest_at_cut(prompt, capacity), end);
            for (std::size_t n = capacity + 1; n <= longest; ++n)
                refuse_budget(trace, r, n, too_few(n, capacity, shape()));
        }
    }
    BudgetKind budgets(std::size_t row) const override {
        return row < scorers_.size() ? class_of(scorers_[row]).budget_kind() : BudgetKind::uniform;
    }
    CacheSteps allowed(const Trace& trace, std::size_t retention) const override {
        const CapturedTrace& captured = *trace.captured();
        const std::size_t prompt = captured.prompt_len();
        const std::size_t capacity = kept_count_for_removed(prompt, removed_fraction(retention, prompt));
        std::size_t held = schedule_.cuts_prompt() ? capacity : prompt;
        CacheSteps steps;
        for (std::size_t i = prompt; i < trace.seq_len(); ++i) {
            ++held;
            if (due(captured, i, held, capacity)) held = std::min(held, capacity);
            steps.cached += static_cast<double>(held);
            steps.seen += static_cast<double>(i + 1);
        }
        return steps;
    }

private:
    class CacheRun;
    void run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const override;
    void run_bound(std::size_t bound, Task& task, RowFigures& row) const override;
    void find_thresholds(const ScorerRun& run, Task& task, RowFigures& row) const;
    /// At least as many tokens as a head may hold at a cut behind the prompt.
    std::size_t longest_at_cut(std::size_t prompt, std::size_t capacity) const {
        const std::size_t after_a_cut = capacity + shape().block + schedule_.interval;
        switch (schedule_.rule) {
        case CutSchedule::Rule::decoding_press:
            return std::max(prompt + schedule_.interval, after_a_cut);
        case CutSchedule::Rule::turns:
            return std::numeric_limits<std::size_t>::max();
        case CutSchedule::Rule::once:
            return capacity;
        default:
            return after_a_cut;
        }
    }
    /// Behind the query at `position`.
    bool due(const CapturedTrace& trace, std::size_t position, std::size_t cached, std::size_t capacity) const {
        const bool ends_answer = std::ranges::count(trace.answer_ends(), position) > 0;
        return schedule_.due(position - trace.prompt_len(), cached, capacity, ends_answer);
    }
    CutSchedule schedule_;
    std::size_t bin_;
};

/// One cache through the continuation.
class Decode::CacheRun {
public:
    CacheRun(const Decode& protocol, Task& task)
        : protocol_(protocol), task_(task), view_(task.view), newest_(task.view.prompt) {
        for (std::size_t a = 0; a < view_.shape.kv_heads; ++a) heads_.emplace_back(view_, a);
    }

    void play(CacheChooser& chooser, std::size_t retention, RowFigures& row) {
        const std::size_t prompt = view_.prompt, end = view_.shape.tokens;
        const double removed_fraction = protocol_.removed_fraction(retention, prompt);
        const std::size_t capacity = kept_count_for_removed(prompt, removed_fraction);
        const KeptSets first = chooser.first(protocol_.schedule_.cuts_prompt() ? removed_fraction : 0);
        for (std::size_t a = 0; a < heads_.size(); ++a)
            for (const std::uint32_t position : first[a]) heads_[a].add(position);
        Damage damage;
        task_.damage.start_change(task_.scratch);
        evicted_.clear();
        std::size_t kept = 0;
        for (std::size_t i = prompt; i < end; ++i) {
            for (CachedHead& head : heads_) {
                head.add(i);
                head.attend(i);
            }
            const double loss = note_query(i - prompt);
            damage.attention_loss += loss;
            chooser.saw(heads_);
            const std::size_t longest = std::ranges::max_element(heads_, {}, &CachedHead::tokens)->tokens();
            std::size_t replaced = 0, cached = 0;
            if (protocol_.due(task_.trace, i, longest, capacity) && chooser.full(heads_, capacity))
                replaced = cut(chooser.again(heads_, capacity), i);
            for (const CachedHead& head : heads_) cached += head.tokens();
            kept += cached;
            note_step(i, loss, cached, replaced, longest);
        }
        if (task_.damage.is_small(task_.scratch)) refine();
        damage.attention_loss /= static_cast<double>(end - prompt);
        damage.output_error = task_.damage.output_error_of_change(task_.scratch);
        protocol_.note(row, retention, damage, task_, kept, seen_tokens() * heads_.size());
        row.continuation_kept.push_back(continuation_kept());
        if (protocol_.bin_ == 0) return;
        row.along.push_back(std::move(along_));
        row.largest.push_back(largest_);
    }

private:
    /// Behind the query at `position`. Gives how many of the evicted tokens the cut before had left, over all heads.
    std::size_t cut(const KeptSets& slots, std::size_t position) {
        const auto old_tokens = [this] {
            std::size_t count = 0;
            for (const CachedHead& head : heads_)
                for (std::size_t i = 0; i < head.tokens() && head.position(i) < newest_; ++i) ++count;
            return count;
        };
        const std::size_t before = old_tokens();
        for (std::size_t a = 0; a < heads_.size(); ++a) heads_[a].keep(slots[a]);
        const std::size_t replaced = before - old_tokens();
        newest_ = position + 1;
        return replaced;
    }
    void note_step(std::size_t position, double loss, std::size_t cached, std::size_t replaced, std::size_t longest) {
        if (protocol_.bin_ == 0) return;
        const std::size_t step = position - view_.prompt;
        if (step % protocol_.bin_ == 0) along_.emplace_back();
        CacheSteps& steps = along_.back();
        steps.attention_loss += loss;
        steps.queries += 1;
        steps.cached += static_cast<double>(cached);
        steps.seen += static_cast<double>(heads_.size() * (position + 1));
        steps.replaced += static_cast<double>(replaced);
        steps.came += static_cast<double>(heads_.size());
        largest_ = std::max(largest_, longest);
    }
    /// Of the continuation, what is cached in the end, over what it would be if all tokens were kept alike.
    double continuation_kept() const {
        const auto prompt = static_cast<double>(view_.prompt), end = static_cast<double>(view_.shape.tokens);
        double cached = 0, late = 0;
        for (const CachedHead& head : heads_)
            for (std::size_t i = 0; i < head.tokens(); ++i) {
                cached += 1;
                late += head.position(i) >= view_.prompt ? 1 : 0;
            }
        return late / (cached * (end - prompt) / end);
    }
    std::size_t seen_tokens() const {
        std::size_t seen = 0;
        for (std::size_t i = view_.prompt; i < view_.shape.tokens; ++i) seen += i + 1;
        return seen;
    }
    /// The loss of one judged query, mean over query heads; its change of the output goes into the scratch.
    double note_query(std::size_t judged) {
        double loss = 0;
        for (std::size_t a = 0; a < heads_.size(); ++a) {
            const CachedHead& head = heads_[a];
            evicted_.push_back(evicted_of(head, view_.prompt + judged));
            for (std::size_t g = 0; g < head.group(); ++g) {
                const std::size_t h = a * head.group() + g;
                double cached = 0;
                for (std::size_t i = 0; i < head.tokens(); ++i)
                    cached += static_cast<double>(task_.damage.attention(h, head.position(i), judged));
                loss += 1 - cached < least_loss ? attention_on(evicted_.back(), h, judged) : 1 - cached;
                task_.damage.set_change(h, judged, head.output(g), task_.scratch);
            }
        }
        return loss / static_cast<double>(view_.shape.query_heads);
    }
    double attention_on(std::span<const std::uint32_t> tokens, std::size_t head, std::size_t judged) const {
        double sum = 0;
        for (const std::uint32_t token : tokens)
            sum += static_cast<double>(task_.damage.attention(head, token, judged));
        return sum;
    }
    void refine() {
        for (std::size_t i = 0; i < evicted_.size(); ++i)
            for (std::size_t g = 0; g < heads_[0].group(); ++g)
                task_.damage.refine(i % heads_.size() * heads_[0].group() + g, i / heads_.size(), evicted_[i],
                                    task_.scratch);
    }

    const Decode& protocol_;
    Task& task_;
    const LayerView& view_;
    CachedHeads heads_;
    std::vector<std::vector<std::uint32_t>> evicted_; ///< [judged query][kv_head]
    std::size_t newest_;                              ///< the position of the first token since the last cut
    std::vector<CacheSteps> along_;                   ///< by bin
    std::size_t largest_ = 0;                         ///< tokens that a head held while it attended
};

void Decode::run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const {
    if (finds_thresholds()) return find_thresholds(run, task, row);
    const ChooserTask given{task.view, task.columns, task.input};
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        CapacityChooser by_capacity(run, given, shape());
        ThresholdChooser by_threshold(run, given, task.view.shape.tokens, nullptr);
        ScoringChooser& chooser =
            run.scorer().has_threshold() ? static_cast<ScoringChooser&>(by_threshold) : by_capacity;
        CacheRun(*this, task).play(chooser, r, row);
        if (!measures_time()) continue;
        row.scoring_seconds += chooser.seconds();
        row.scored_tokens += static_cast<double>(task.damage.judged());
    }
}

/// With nothing evicted, once: without a budget scores do not depend on one.
void Decode::find_thresholds(const ScorerRun& run, Task& task, RowFigures& row) const {
    const std::size_t prompt = task.view.prompt, judged = task.damage.judged(), heads = task.damage.kv_heads();
    ThresholdChooser chooser(run, {task.view, task.columns, task.input}, prompt + judged, &row.decided.emplace_back());
    std::size_t removes = 0; // a retention at which anything goes
    while (removes + 1 < retentions_.size() && retentions_[removes] >= 1) ++removes;
    CacheRun(*this, task).play(chooser, removes, row);
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        row.allowed.push_back(static_cast<double>(heads) * allowed(task.trace, r).cached);
        row.cached[r] = row.cached[removes];
    }
}

void Decode::run_bound(std::size_t, Task& task, RowFigures& row) const {
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        OracleChooser chooser(task.damage, bound_shape());
        CacheRun(*this, task).play(chooser, r, row);
    }
}

std::string refuses(const Scorer& scorer) {
    if (scorer.has_threshold() && scorer.budgeted())
        return "has a threshold in place of a budget, and what it wraps scores for one, which there is none of in the "
               "protocol decode; it runs under prefill";
    if (scorer.allocates() && !scorer.has_threshold())
        return "keeps different numbers of tokens by layer or head, which the fixed capacity of the protocol decode "
               "does not allow; it runs under prefill";
    if (scorer.needs_model())
        return "looks at all layers of the model together, which the protocol decode does not give; it runs under "
               "prefill";
    if (scorer.wants_tensors())
        return "reads the queries, keys and values of the whole prompt, which the protocol decode no longer has; it "
               "runs under prefill";
    return "";
}

std::string refuses_shape(const Shape& shape, bool) {
    if (shape.granularity == Granularity::model)
        return "lets each layer decode by itself, so that no set can be shared by all layers; prefill has the "
               "granularity model";
    if (shape.block > 1 && shape.granularity == Granularity::head)
        return "needs heads that cache as many tokens each, and blocks that each head chooses for itself differ by the "
               "last one, which may be short; use the granularity layer, or prefill";
    return "";
}

} // namespace

ProtocolInfo describe_decode() {
    ProtocolInfo info;
    info.name = "decode";
    info.note = "Protocol `decode`: at a fixed capacity, a scorer sees statistics over the cached tokens alone, up to "
                "the newest query, again and again as tokens come in; later queries judge, and evicted tokens never "
                "return.";
    info.usual_retentions = retentions;
    info.needs_capture = info.gives_tensors = info.measures_time = info.cuts_again = true;
    info.refuses = refuses;
    info.refuses_shape = refuses_shape;
    info.make = [](const ProtocolSetup& setup) -> std::unique_ptr<Protocol> { return std::make_unique<Decode>(setup); };
    return info;
}

} // namespace evictlab
