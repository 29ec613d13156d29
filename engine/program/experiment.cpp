// SPDX-License-Identifier: MIT
#include "engine/program/experiment.hpp"

#include <algorithm>

namespace evictlab::engine {
namespace {

/// Tokens behind the prompt that the caches must hold.
std::size_t tokens_behind(const Plan& plan, std::size_t given) { return std::max(given, plan.generate) + 1; }

Feed feed_of(Sequence& sequence) {
    return [&sequence](std::span<const llama_token> tokens) { return sequence.feed(tokens); };
}

/// A state in the sequence.
Cache cache_of(const Sequence& sequence, const CacheState& state) {
    const std::size_t capacity = sequence.capacity();
    return {sequence.cells(),
            capacity,
            state.bytes_of_cell(),
            state.sliding_cells(),
            sequence.model().layout().sliding_capacity(capacity),
            state.bytes_of_sliding_cell()};
}

} // namespace

ContextOptions Experiment::context_of(std::size_t cells) const {
    return {static_cast<std::uint32_t>(cells), plan_.threads, plan_.cache_type};
}

Experiment::Experiment(const Model& model, const Plan& plan, std::span<const llama_token> prompt,
                       std::span<const llama_token> given, std::uint64_t queries)
    : model_(model), plan_(plan), tokens_(prompt) {
    const std::size_t n = prompt.size(), wanted = std::min<std::uint64_t>(n, queries);
    Sequence sequence(model, context_of(n + tokens_behind(plan, given.size())));
    sequence.record_queries(n - wanted);
    const Stopwatch watch;
    first_ = likeliest(sequence.feed(prompt));
    full_.prompt = watch.spent();
    sequence.record_no_queries();

    const Stopwatch reading;
    prompt_ = std::make_unique<Snapshot>(sequence.snapshot());
    reading_ = reading.spent();
    full_.cache = cache_of(sequence, prompt_->state);

    const Feed feed = feed_of(sequence);
    full_.continuation = given.empty() ? generate(feed, model, first_, plan.generate) : follow(feed, given);
    if (plan.generate == 0) return;
    if (given.empty()) {
        full_.text = model.text(full_.continuation.tokens);
    } else {
        sequence.become(*prompt_);
        full_.text = model.text(generate(feed, model, first_, plan.generate).tokens);
    }
}

void Experiment::go_on(Stream& stream, const std::function<void()>& begin, Evicted& out) const {
    const Feed feed = [&](std::span<const llama_token> tokens) { return stream.feed(tokens); };
    const Continuation followed = follow(feed, full_.continuation.tokens);
    out.times = followed.times;
    out.difference = compare(full_.continuation, followed);
    out.costs += stream.costs();
    if (plan_.generate == 0) return;
    begin();
    out.text = model_.text(generate(feed, model_, first_, plan_.generate).tokens);
}

void Experiment::stream(const Policy& policy, Evicted& out) const {
    Sequence sequence(model_, context_of(plan_.cache));
    sequence.record_queries(policy.queries() > 0 ? 0 : Sequence::skip_all);
    Stream stream(sequence, policy, plan_.cache, plan_.every);
    stream.feed(tokens_);
    const Snapshot behind = sequence.snapshot();
    out.cache = cache_of(sequence, behind.state);
    go_on(
        stream, [&] { sequence.become(behind); }, out);
}

void Experiment::evict_once(const Policy& policy, const Budget& budget, Evicted& out) const {
    const Cached cached = prompt_->cached();
    const Stopwatch scoring;
    const KeptCells kept = policy.choose(cached, budget);
    out.costs.scoring = scoring.spent();
    out.costs.evictions = 1;
    out.costs.rewriting = reading_;

    const std::size_t cells = kept.front().front().size(),
                      behind = tokens_behind(plan_, full_.continuation.tokens.size());
    const std::size_t room = plan_.every > 0 ? std::min(plan_.every, behind) : behind;
    Sequence sequence(model_, context_of(cells + room));
    const auto begin = [&] {
        policy.begin(sequence, cached, kept);
        if (plan_.every > 0 && policy.queries() > 0) sequence.record_queries(0);
    };
    const Stopwatch writing;
    begin();
    out.costs.rewriting += writing.spent();
    out.cache = cache_of(sequence, cached.state);
    Stream stream(sequence, policy, cells + plan_.every, plan_.every);
    go_on(stream, begin, out);
}

std::vector<Evicted> Experiment::run(const Policy& policy) const {
    Evicted row;
    row.scorer = policy.text();
    row.hash = policy.hash();
    row.by_places = policy.by_places();
    if (plan_.cache > 0) {
        stream(policy, row);
        return {std::move(row)};
    }
    std::vector<Evicted> rows(plan_.budgets.size(), row);
    for (std::size_t b = 0; b < rows.size(); ++b) {
        rows[b].budget = plan_.budgets[b];
        evict_once(policy, plan_.budgets[b], rows[b]);
    }
    return rows;
}

} // namespace evictlab::engine
