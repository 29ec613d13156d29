// SPDX-License-Identifier: MIT
#include "framework/protocols/decode.hpp"

#include <algorithm>

#include "framework/protocols/captured_protocol.hpp"
#include "framework/scoring/cached_head.hpp"
#include "framework/scoring/stopwatch.hpp"

namespace evictlab {
namespace {

constexpr double retentions[] = {0.1, 0.25, 0.5, 0.75};

using Heads = std::vector<CachedHead>;

/// For every cached token of every head, its attention in this row: the mean over all query heads of the layer, those
/// that no longer cache it counting 0.
std::vector<std::vector<double>> layer_attention(const Heads& heads, std::size_t tokens) {
    std::vector<double> by_position(tokens);
    std::size_t query_heads = 0;
    for (const CachedHead& head : heads) {
        query_heads += head.group();
        for (std::size_t g = 0; g < head.group(); ++g)
            for (std::size_t i = 0; i < head.tokens(); ++i)
                by_position[head.position(i)] += static_cast<double>(head.attention(g)[i]);
    }
    std::vector<std::vector<double>> rows;
    for (const CachedHead& head : heads) {
        auto& row = rows.emplace_back(padded(head.tokens()));
        for (std::size_t i = 0; i < head.tokens(); ++i)
            row[i] = by_position[head.position(i)] / static_cast<double>(query_heads);
    }
    return rows;
}

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
    explicit Decode(const ProtocolSetup& setup) : CapturedProtocol(setup), interval_(setup.interval) {}
    std::string_view name() const override { return "decode"; }
    /// Keeps what the later judged queries attend to most. Strong, but a cache has no simple bound.
    std::vector<std::string> bounds() const override { return {"oracle"}; }
    /// The cache is cut again and again, and its blocks lie as its tokens do.
    void check(const Trace& trace) const override {
        CapturedProtocol::check(trace);
        const std::size_t prompt = trace.captured()->prompt_len(), end = trace.seq_len();
        for (std::size_t r = 0; r < retentions_.size(); ++r) {
            const std::size_t capacity = kept_count_for_removed(prompt, removed_fraction(r, prompt));
            const std::size_t longest = std::min(capacity + shape().block + interval_, end);
            for (std::size_t n = capacity + 1; n <= longest; ++n)
                refuse_budget(trace, r, n, too_few(n, capacity, shape()));
        }
    }
    BudgetKind budgets(std::size_t) const override { return BudgetKind::uniform; }

private:
    class CacheRun;
    class ByScorer;
    class ByOracle;
    void run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const override;
    void run_bound(std::size_t bound, Task& task, RowFigures& row) const override;
    std::size_t interval_;
};

/// One cache through the continuation. What is cut is decided by a Chooser: first(capacity) after the prompt,
/// saw(heads) at every query, and again(heads, capacity) when the cache is full.
class Decode::CacheRun {
public:
    CacheRun(const Decode& protocol, Task& task) : protocol_(protocol), task_(task), view_(task.view) {
        for (std::size_t a = 0; a < view_.shape.kv_heads; ++a) heads_.emplace_back(view_, a);
    }

    template <class Chooser>
    void play(Chooser& chooser, std::size_t retention, RowFigures& row) {
        const std::size_t prompt = view_.prompt, end = view_.shape.tokens;
        const double removed_fraction = protocol_.removed_fraction(retention, prompt);
        const std::size_t capacity = kept_count_for_removed(prompt, removed_fraction);
        const KeptSets first = chooser.first(removed_fraction);
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
            damage.attention_loss += note_query(i - prompt);
            chooser.saw(heads_);
            if ((i - prompt + 1) % protocol_.interval_ == 0 && heads_[0].tokens() > capacity) {
                const KeptSets slots = chooser.again(heads_, capacity);
                for (std::size_t a = 0; a < heads_.size(); ++a) heads_[a].keep(slots[a]);
            }
            kept += heads_[0].tokens();
        }
        if (task_.damage.is_small(task_.scratch)) refine();
        damage.attention_loss /= static_cast<double>(end - prompt);
        damage.output_error = task_.damage.output_error_of_change(task_.scratch);
        protocol_.note(row, retention, damage, task_, kept * heads_.size(), seen_tokens() * heads_.size());
        row.continuation_kept.push_back(continuation_kept());
    }

private:
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
    Heads heads_;
    std::vector<std::vector<std::uint32_t>> evicted_; ///< [judged query][kv_head]
};

class Decode::ByScorer {
public:
    ByScorer(const ScorerRun& run, Task& task, const Shape& shape)
        : run_(run), task_(task), shape_(shape), places_(run.scorer().columns()) {}

    KeptSets first(double removed_fraction) {
        board_ = std::make_unique<ColumnBoard>(task_.columns.subset(places_.ids()));
        const LayerInput& input = task_.input.of(run_.scorer());
        LayerSelection selection(run_, input);
        selection.select(removed_fraction);
        return cut(selection, input);
    }
    void saw(Heads& heads) {
        Stopwatch watch;
        layer_rows_ = layer_attention(heads, task_.view.shape.tokens);
        for (std::size_t a = 0; a < heads.size(); ++a) {
            RowContext row = heads[a].row();
            row.layer_attention = layer_rows_[a].data();
            board_->update(a, row);
        }
        seconds_ += watch.lap();
        sequence_len_ = heads[0].position(heads[0].tokens() - 1) + 1;
    }
    KeptSets again(Heads& heads, std::size_t capacity) {
        Stopwatch watch;
        BoardColumns columns(places_, *board_);
        LayerInput input;
        input.layer = task_.view.layer;
        input.num_layers = task_.view.num_layers;
        input.heads = heads.size();
        input.tokens = heads[0].tokens();
        input.sequence_len = sequence_len_;
        input.columns = &columns;
        input.calibration = task_.view.calibration ? task_.view.calibration->whole : nullptr;
        LayerSelection selection(run_, input);
        selection.select(removed_fraction_for_kept(input.tokens, capacity));
        KeptSets kept = cut(selection, input);
        seconds_ += watch.lap();
        return kept;
    }
    double seconds() const { return seconds_; } ///< behind the prompt

private:
    KeptSets cut(const LayerSelection& selection, const LayerInput& input) {
        KeptSets kept = cut_by(run_.scorer(), [&] { return selection.kept(shape_); });
        for (std::size_t a = 0; a < input.heads; ++a) board_->keep(a, kept[a]);
        return kept;
    }

    const ScorerRun& run_;
    Task& task_;
    const Shape& shape_;
    ColumnPlaces places_;
    std::unique_ptr<ColumnBoard> board_;
    std::vector<std::vector<double>> layer_rows_; ///< the board may hand out the last ones
    std::size_t sequence_len_ = 0;
    double seconds_ = 0;
};

class Decode::ByOracle {
public:
    ByOracle(Task& task, const Shape& shape) : task_(task), shape_(shape) {}

    KeptSets first(double removed_fraction) {
        const ContinuationDamage& damage = task_.damage;
        to_come_.assign(damage.kv_heads(), std::vector<double>(damage.tokens()));
        for (std::size_t a = 0; a < damage.kv_heads(); ++a)
            for (std::size_t i = 0; i < damage.judged(); ++i) count(a, i, 1);
        next_ = 0;
        const std::size_t capacity = kept_count_for_removed(damage.prompt(), removed_fraction);
        std::vector<double> scores;
        for (const auto& head : to_come_)
            scores.insert(scores.end(), head.begin(), head.begin() + static_cast<std::ptrdiff_t>(damage.prompt()));
        return layer_cut(scores, std::vector<std::size_t>(damage.kv_heads(), capacity), shape_);
    }
    void saw(Heads&) {
        for (std::size_t a = 0; a < to_come_.size(); ++a) count(a, next_, -1);
        ++next_;
    }
    KeptSets again(Heads& heads, std::size_t capacity) {
        std::vector<double> scores;
        for (std::size_t a = 0; a < heads.size(); ++a)
            for (std::size_t i = 0; i < heads[a].tokens(); ++i) scores.push_back(to_come_[a][heads[a].position(i)]);
        return layer_cut(scores, std::vector<std::size_t>(heads.size(), capacity), shape_);
    }

private:
    void count(std::size_t a, std::size_t judged, double sign) {
        const std::size_t group = task_.damage.group();
        for (std::size_t h = a * group; h < (a + 1) * group; ++h)
            for (std::size_t j = 0; j <= task_.damage.prompt() + judged; ++j)
                to_come_[a][j] += sign * static_cast<double>(task_.damage.attention(h, j, judged));
    }

    Task& task_;
    Shape shape_;
    std::vector<std::vector<double>> to_come_; ///< [kv_head][token], attention in the judged queries still to come
    std::size_t next_ = 0;
};

void Decode::run_scorer(const ScorerRun& run, Task& task, RowFigures& row) const {
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        ByScorer chooser(run, task, shape());
        CacheRun(*this, task).play(chooser, r, row);
        if (!measures_time()) continue;
        row.scoring_seconds += chooser.seconds();
        row.scored_tokens += static_cast<double>(task.damage.judged());
    }
}

void Decode::run_bound(std::size_t, Task& task, RowFigures& row) const {
    for (std::size_t r = 0; r < retentions_.size(); ++r) {
        ByOracle chooser(task, bound_shape());
        CacheRun(*this, task).play(chooser, r, row);
    }
}

std::string refuses(const Scorer& scorer) {
    if (scorer.allocates())
        return "keeps different numbers of tokens by layer or head, which the fixed capacity of the protocol decode "
               "does not allow; it runs under prefill";
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
    info.needs_capture = info.gives_tensors = info.measures_time = true;
    info.refuses = refuses;
    info.refuses_shape = refuses_shape;
    info.make = [](const ProtocolSetup& setup) -> std::unique_ptr<Protocol> { return std::make_unique<Decode>(setup); };
    return info;
}

} // namespace evictlab
