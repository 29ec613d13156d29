// SPDX-License-Identifier: MIT
#include "engine/sequence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.hpp"
#include "base/text/shown.hpp"
#include "engine/token_types.hpp"

namespace evictlab::engine {
namespace {

/// Of those of all cells those of the kept ones.
KeptCells positions_of(const KeptCells& all, const KeptCells& kept) {
    KeptCells positions = kept;
    for (std::size_t at = 0; at < kept.size(); ++at)
        for (std::size_t h = 0; h < kept[at].size(); ++h)
            for (std::uint32_t& cell : positions[at][h]) cell = all[at][h][cell];
    return positions;
}

} // namespace

Sequence::Sequence(const Model& model, const ContextOptions& options)
    : model_(&model), tap_(model.layers(), model.layout().full, model.interleaved_rope()),
      context_(model.context(options, &tap_)) {
    tap_.stop();
}

void Sequence::record_queries(std::size_t skip) { tap_.record(skip); }

void Sequence::feed_batch(std::span<const llama_token> tokens, bool all) {
    decode(context_.get(), tokens, next_, all);
    for (auto& layer : positions_)
        for (auto& head : layer)
            for (std::size_t i = 0; i < tokens.size(); ++i) head.push_back(static_cast<std::uint32_t>(next_ + i));
    next_ += tokens.size();
    cells_ += tokens.size();
    const std::vector<std::uint8_t> added = engine::token_types(*model_, tokens);
    types_.insert(types_.end(), added.begin(), added.end());
}

std::span<const float> Sequence::feed(std::span<const llama_token> tokens) {
    for (std::size_t at = 0; at < tokens.size(); at += batch_tokens)
        feed_batch(tokens.subspan(at, std::min<std::size_t>(batch_tokens, tokens.size() - at)), false);
    return {llama_get_logits_ith(context_.get(), -1), model_->vocabulary()};
}

std::vector<std::vector<float>> Sequence::feed_for_all(std::span<const llama_token> tokens) {
    constexpr std::size_t at_once = 128; // llama.cpp holds the logits of a batch
    std::vector<std::vector<float>> out;
    for (std::size_t at = 0; at < tokens.size(); at += at_once) {
        const std::size_t count = std::min(at_once, tokens.size() - at);
        feed_batch(tokens.subspan(at, count), true);
        for (std::size_t i = 0; i < count; ++i) {
            const float* logits = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(i));
            out.emplace_back(logits, logits + model_->vocabulary());
        }
    }
    return out;
}

void Sequence::hold(std::span<const std::uint8_t> state) {
    try {
        restore(context_.get(), state);
    } catch (const Error&) {
        clear();
        throw;
    }
}

void Sequence::become(const Cached& from, const KeptCells& kept, Granularity granularity, const Carried& carried) {
    const std::vector<std::uint32_t>& first = kept.front().front();
    std::vector<std::int32_t> positions(first.size()); // llama.cpp's
    if (granularity == Granularity::model)
        for (std::size_t j = 0; j < first.size(); ++j) positions[j] = from.state.positions()[first[j]];
    else
        std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(from.next - first.size()));
    positions.back() = static_cast<std::int32_t>(from.next - 1); // llama.cpp takes no gap before the next token
    hold(from.state.with_cells(kept, positions));
    if (carried.of_cells)
        tap_.take_over(from.tap, kept);
    else
        tap_.take_latest(from.tap, carried.latest);
    if (first.size() < from.state.cells()) {
        positions_ = from.positions.empty() ? kept : positions_of(from.positions, kept);
    } else if (&from.positions != &positions_) {
        positions_ = from.positions;
    }
    if (from.token_types.data() != types_.data()) types_.assign(from.token_types.begin(), from.token_types.end());
    next_ = from.next;
    cells_ = first.size();
}

void Sequence::become(const Snapshot& from) {
    hold(from.state.bytes());
    tap_.take_latest(from.tap, from.tap.rows());
    positions_ = from.positions;
    types_ = from.token_types;
    next_ = from.next;
    cells_ = from.state.cells();
}

void Sequence::shift(std::size_t keep, std::size_t count) {
    const auto from = static_cast<llama_pos>(keep), to = static_cast<llama_pos>(keep + count);
    if (!llama_memory_seq_rm(llama_get_memory(context_.get()), 0, from, to))
        throw Error("llama.cpp cannot forget the oldest tokens" + why_llama_failed());
    cells_ -= count;
    close_gap(keep, count);
}

void Sequence::close_gap(std::size_t keep, std::size_t count) {
    llama_memory_t memory = llama_get_memory(context_.get());
    if (!llama_memory_can_shift(memory)) throw Error("llama.cpp cannot shift the context of this model");
    llama_memory_seq_add(memory, 0, static_cast<llama_pos>(keep + count), -1, -static_cast<llama_pos>(count));
    next_ -= count;
    positions_.clear(); // nothing is missing any more
    const auto gap = types_.begin() + static_cast<std::ptrdiff_t>(keep);
    types_.erase(gap, gap + static_cast<std::ptrdiff_t>(count));
    tap_.take_latest(tap_, 0);
}

void Sequence::clear() {
    llama_memory_clear(llama_get_memory(context_.get()), true);
    tap_.take_latest(tap_, 0);
    cells_ = next_ = 0;
    positions_.clear();
    types_.clear();
}

KeptCells all_cells(const CacheState& state, std::size_t layers) {
    std::vector<std::uint32_t> all(state.cells());
    std::iota(all.begin(), all.end(), 0U);
    return KeptCells(layers, std::vector<std::vector<std::uint32_t>>(state.kv_heads(), all));
}

void prove_round_trip(const Model& model, std::span<const llama_token> text, const ContextOptions& options) {
    constexpr std::size_t enough = 64;
    const std::span<const llama_token> some = text.first(std::min(enough, text.size()));
    ContextOptions small = options;
    small.cells = static_cast<std::uint32_t>(some.size() + 1);
    const std::string named = model.file().empty() ? "the model" : text::named(model.file().string(), 200);
    Sequence original(model, small), copy(model, small);
    original.record_queries(some.size());
    original.feed(some);
    if (const std::string why = original.tap().refusal(); !why.empty())
        throw Error(fmt::format("{} is refused: {} (docs/llama.md says which models are taken)", named, why));
    original.record_no_queries();
    const CacheState state = original.state();
    if (original.tap().query_heads() != model.query_heads() || original.tap().dim() != state.dim())
        throw Error(fmt::format("{} is refused: its queries are {} heads of {}, not {} of {} as its keys would have it",
                                named, original.tap().query_heads(), original.tap().dim(), model.query_heads(),
                                state.dim()));
    copy.become(original.cached(state), all_cells(state, model.layout().full.size()), Granularity::head);
    const auto fail = [&](const char* what) {
        throw Error(
            fmt::format("{} is refused: a cache that is read from llama.cpp and written back whole {}", named, what));
    };
    if (copy.state().bytes() != state.bytes()) fail("is not the same bytes");
    const std::span<const float> expected = original.feed(some.first(1)), found = copy.feed(some.first(1));
    if (std::memcmp(expected.data(), found.data(), expected.size_bytes()) != 0) fail("gives other predictions");
}

} // namespace evictlab::engine
