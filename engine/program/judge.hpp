// A model in llama.cpp as a judge of scorers: how far its predictions are, under eviction, from those without.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/eviction.hpp"
#include "engine/program/continuation.hpp"
#include "engine/program/documents.hpp"

namespace evictlab::engine {

/// The model must outlive it. Threads may share it, each with a worker of its own.
class Judge {
public:
    Judge(const Model& model, DocumentSet documents, const Cut& cut, int threads, ggml_type cache_type);

    const DocumentSet& documents() const { return documents_; }
    /// A sequence as long as the longest document.
    std::unique_ptr<Sequence> worker() const;

    const Shape& shape() const { return cut_.shape; } ///< of who names none

    /// KL(full || evicted) along a document's continuation at each budget, in nats a token; a budget of more tokens
    /// than the prompt has keeps all. The document's prompt is run when it is first asked for, and kept. A figure does
    /// not depend on what was asked before. Throws Error.
    std::vector<double> divergences(Sequence& worker, const Scorer& scorer, const Shape& shape, std::size_t document,
                                    std::span<const Budget> budgets);

private:
    struct Run {
        Snapshot prompt;
        Continuation full;
        Notes notes;
    };
    struct Place {
        std::mutex lock;
        std::unique_ptr<Run> run;
    };
    Run& run_of(Sequence& worker, std::size_t document);

    const Model& model_;
    DocumentSet documents_;
    Cut cut_;
    ContextOptions context_;
    std::vector<Place> places_; ///< [document]
};

} // namespace evictlab::engine
