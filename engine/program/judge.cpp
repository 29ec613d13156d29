// SPDX-License-Identifier: MIT
#include "engine/program/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"

namespace evictlab::engine {

Judge::Judge(const Model& model, DocumentSet documents, const Cut& cut, int threads, ggml_type cache_type)
    : model_(model), documents_(std::move(documents)), cut_(cut), places_(documents_.documents.size()) {
    std::size_t longest = 0;
    for (const Document& document : documents_.documents) longest = std::max(longest, document.tokens.size());
    context_ = {static_cast<std::uint32_t>(longest), threads, cache_type};
}

std::unique_ptr<Sequence> Judge::worker() const { return std::make_unique<Sequence>(model_, context_); }

Judge::Run& Judge::run_of(Sequence& worker, std::size_t number) {
    const Document& document = documents_.documents[number];
    const std::span<const llama_token> tokens = document.tokens;
    Place& place = places_[number];
    const std::lock_guard guard(place.lock);
    if (place.run) return *place.run;
    worker.clear();
    worker.record_queries(0);
    worker.feed(tokens.first(document.prompt));
    worker.record_no_queries();
    auto run = std::make_unique<Run>(Run{worker.snapshot(), {}, Notes(model_.layout().full.size())});
    const std::span<const llama_token> rest = tokens.subspan(document.prompt);
    run->full = {{rest.begin(), rest.end()}, worker.feed_for_all(rest), {}};
    place.run = std::move(run);
    return *place.run;
}

std::vector<double> Judge::divergences(Sequence& worker, const Scorer& scorer, const Shape& shape, std::size_t document,
                                       std::span<const Budget> budgets) {
    check_scorer(scorer, shape, false);
    Run& run = run_of(worker, document);
    const Cached cached = run.prompt.cached();
    std::vector<double> divergences;
    for (const KeptCells& kept : choose(scorer, cached, {shape, cut_.threads}, budgets, &run.notes)) {
        worker.become(cached, kept, shape.granularity);
        const Continuation evicted{run.full.tokens, worker.feed_for_all(run.full.tokens), {}};
        const double kl = compare(run.full, evicted).kl;
        if (!std::isfinite(kl)) throw Error(fmt::format("the divergence is no finite number: {}", kl));
        divergences.push_back(std::max(0.0, kl)); // rounding alone can make one of 0 negative
    }
    return divergences;
}

} // namespace evictlab::engine
