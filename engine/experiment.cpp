// SPDX-License-Identifier: MIT
#include "engine/experiment.hpp"

#include <algorithm>

namespace evictlab::engine {
namespace {

/// Tokens behind the prompt that the caches must hold.
std::size_t tokens_behind(const Plan& plan, std::size_t given) { return std::max(given, plan.generate) + 1; }

std::uint32_t cells_of(std::size_t tokens) { return static_cast<std::uint32_t>(tokens); }

} // namespace

Experiment::Experiment(const Model& model, const Plan& plan, std::span<const llama_token> prompt,
                       std::span<const llama_token> given, std::uint64_t queries)
    : model_(model), plan_(plan), tokens_(prompt),
      prompt_(model, cells_of(prompt.size() + tokens_behind(plan, given.size())), plan.threads, plan.cache_type) {
    const std::size_t n = prompt.size(), wanted = std::min<std::uint64_t>(n, plan.every > 0 ? n : queries);
    prompt_.record_queries(n - wanted);
    const Stopwatch watch;
    first_ = likeliest(prompt_.feed(prompt));
    full_.prompt = watch.spent();
    prompt_.record_no_queries();

    const Stopwatch reading;
    state_ = std::make_unique<CacheState>(prompt_.state());
    reading_ = reading.spent();
    full_.cache = {n, prompt_.capacity(), state_->bytes_of_cell()};

    full_.continuation = given.empty() ? generate(prompt_, first_, plan.generate) : follow(prompt_, given);
    prompt_.rewind(full_.continuation.tokens.size());
    if (plan.generate == 0) return;
    if (given.empty()) {
        full_.text = model.text(full_.continuation.tokens);
    } else {
        const Continuation said = generate(prompt_, first_, plan.generate);
        prompt_.rewind(said.tokens.size());
        full_.text = model.text(said.tokens);
    }
}

void Experiment::make_room(const Scorer& scorer, Sequence& sequence, std::size_t limit, Evicted& counts) const {
    if (sequence.cells() < limit) return;
    const Stopwatch reading;
    const CacheState state = sequence.state();
    counts.rewriting += reading.spent();
    Cut cut = plan_.cut;
    cut.budget = {0, limit - plan_.every};
    const Stopwatch scoring;
    const KeptCells kept = choose(scorer, sequence, state, cut);
    counts.scoring += scoring.spent();
    const Stopwatch writing;
    sequence.become(sequence, state, kept, cut.granularity);
    counts.rewriting += writing.spent();
    ++counts.evictions;
}

void Experiment::stream(const Scorer& scorer, Sequence& sequence, Evicted& counts) const {
    sequence.record_queries(0);
    for (std::size_t at = 0; at < tokens_.size();) {
        make_room(scorer, sequence, plan_.cache, counts);
        const std::size_t room = std::min(plan_.every, plan_.cache - sequence.cells());
        const auto next = tokens_.subspan(at, std::min(room, tokens_.size() - at));
        sequence.feed(next);
        at += next.size();
    }
    sequence.record_no_queries();
}

void Experiment::go_on(const Scorer& scorer, const Sequence& start, const CacheState& state, const KeptCells& kept,
                       Evicted& out) const {
    out.cache.cells = kept.front().front().size();
    out.cache.bytes_of_cell = state.bytes_of_cell();
    const std::size_t behind = tokens_behind(plan_, full_.continuation.tokens.size());
    const std::size_t limit = plan_.cache > 0 ? plan_.cache : out.cache.cells + plan_.every;
    const std::size_t needed = plan_.every > 0 ? std::min(limit, out.cache.cells + behind) : out.cache.cells + behind;
    Sequence sequence(model_, cells_of(needed), plan_.threads, plan_.cache_type);
    out.cache.capacity = sequence.capacity();
    const auto begin = [&] {
        sequence.become(start, state, kept, plan_.cut.granularity);
        if (plan_.every > 0 && scorer.needs().queries > 0) sequence.record_queries(0);
    };
    const auto evicting = [&](Evicted& counts) -> Between {
        if (plan_.every == 0) return {};
        return [&] { make_room(scorer, sequence, limit, counts); };
    };
    const Stopwatch writing;
    begin();
    out.rewriting += writing.spent();
    const Continuation followed = follow(sequence, full_.continuation.tokens, evicting(out));
    out.times = followed.times;
    out.difference = compare(full_.continuation, followed);
    if (plan_.generate == 0) return;
    Evicted counted_already;
    begin();
    out.text = model_.text(generate(sequence, first_, plan_.generate, evicting(counted_already)).tokens);
}

Evicted Experiment::run(const Scorer& scorer) const {
    Evicted out;
    out.scorer = scorer.text();
    out.hash = scorer.hash();
    if (plan_.cache > 0) {
        Sequence small(model_, cells_of(plan_.cache), plan_.threads, plan_.cache_type);
        stream(scorer, small, out);
        const CacheState state = small.state();
        go_on(scorer, small, state, all_cells(model_.layers(), state.kv_heads(), state.cells()), out);
        return out;
    }
    const Stopwatch scoring;
    const KeptCells kept = choose(scorer, prompt_, *state_, plan_.cut);
    out.scoring = scoring.spent();
    out.evictions = 1;
    out.rewriting = reading_;
    go_on(scorer, prompt_, *state_, kept, out);
    return out;
}

} // namespace evictlab::engine
