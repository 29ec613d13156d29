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
    : model_(model), plan_(plan),
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

void Experiment::evict_again(const Scorer& scorer, Sequence& sequence, Evicted& counts) const {
    const Stopwatch reading;
    const CacheState state = sequence.state();
    counts.rewriting += reading.spent();
    Cut cut = plan_.cut;
    cut.budget = {0, counts.cache.cells};
    const Stopwatch scoring;
    const KeptCells kept = choose(scorer, sequence, state, cut);
    counts.scoring += scoring.spent();
    const Stopwatch writing;
    sequence.become(sequence, state, kept, cut.granularity);
    counts.rewriting += writing.spent();
    ++counts.evictions;
}

Evicted Experiment::run(const Scorer& scorer) const {
    Evicted out;
    out.scorer = scorer.text();
    out.hash = scorer.hash();
    const Stopwatch scoring;
    const KeptCells kept = choose(scorer, prompt_, *state_, plan_.cut);
    out.scoring = scoring.spent();
    out.evictions = 1;
    out.cache.cells = kept.front().front().size();
    out.cache.bytes_of_cell = state_->bytes_of_cell();

    const std::size_t behind = tokens_behind(plan_, full_.continuation.tokens.size());
    const std::size_t room = plan_.every > 0 ? std::min(behind, plan_.every + 1) : behind;
    Sequence sequence(model_, cells_of(out.cache.cells + room), plan_.threads, plan_.cache_type);
    out.cache.capacity = sequence.capacity();
    const auto begin = [&] {
        sequence.become(prompt_, *state_, kept, plan_.cut.granularity);
        if (plan_.every > 0 && scorer.needs().queries > 0) sequence.record_queries(0);
    };
    const Stopwatch writing;
    begin();
    out.rewriting = reading_;
    out.rewriting += writing.spent();

    const auto evicting = [&](Evicted& counts) -> Between {
        if (plan_.every == 0) return {};
        return [&](std::size_t fed) {
            if (fed % plan_.every == 0) evict_again(scorer, sequence, counts);
        };
    };
    const Continuation followed = follow(sequence, full_.continuation.tokens, evicting(out));
    out.times = followed.times;
    out.difference = compare(full_.continuation, followed);
    if (plan_.generate > 0) {
        Evicted counted_already = out;
        begin();
        out.text = model_.text(generate(sequence, first_, plan_.generate, evicting(counted_already)).tokens);
    }
    return out;
}

} // namespace evictlab::engine
