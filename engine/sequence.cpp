// SPDX-License-Identifier: MIT
#include "engine/sequence.hpp"

#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "base/error.hpp"
#include "base/text/shown.hpp"
#include "engine/token_types.hpp"

namespace evictlab::engine {

Sequence::Sequence(const Model& model, std::uint32_t cells, int threads, ggml_type cache_type)
    : model_(&model), tap_(model.layers(), model.interleaved_rope()),
      context_(model.context({cells, threads, cache_type, &tap_})) {
    tap_.stop();
}

void Sequence::record_queries(std::size_t skip) { tap_.record(skip); }

std::span<const float> Sequence::feed(std::span<const llama_token> tokens) {
    const std::span<const float> logits = decode(context_.get(), tokens, next_);
    next_ += tokens.size();
    cells_ += tokens.size();
    if (!evicted_ || !types_.empty()) {
        const std::vector<std::uint8_t> added = engine::token_types(*model_, tokens);
        types_.insert(types_.end(), added.begin(), added.end());
    }
    return logits;
}

void Sequence::rewind(std::size_t tokens) {
    next_ -= tokens;
    cells_ -= tokens;
    types_.resize(cells_);
    if (!llama_memory_seq_rm(llama_get_memory(context_.get()), 0, static_cast<llama_pos>(next_), -1))
        throw Error("llama.cpp cannot forget the latest tokens" + why_llama_failed());
}

void Sequence::become(const Sequence& from, const CacheState& state, const KeptCells& kept, Granularity granularity) {
    const std::vector<std::uint32_t>& first = kept.front().front();
    std::vector<std::int32_t> positions(first.size());
    std::vector<std::uint8_t> types;
    if (granularity == Granularity::model)
        for (std::size_t j = 0; j < first.size(); ++j) {
            positions[j] = state.positions()[first[j]];
            if (!from.types_.empty()) types.push_back(from.types_[first[j]]);
        }
    else
        std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(from.next_ - first.size()));
    positions.back() = static_cast<std::int32_t>(from.next_ - 1); // llama.cpp takes no gap before the next token
    restore(context_.get(), state.with_cells(kept, positions));
    const bool all = first.size() == state.cells();
    tap_.take_over(from.tap_, from.tap_.rows() == state.cells() ? kept : KeptCells{});
    types_ = all ? from.types_ : types;
    evicted_ = from.evicted_ || !all;
    next_ = from.next_;
    cells_ = first.size();
}

KeptCells all_cells(std::size_t layers, std::size_t kv_heads, std::size_t cells) {
    std::vector<std::uint32_t> all(cells);
    std::iota(all.begin(), all.end(), 0U);
    return KeptCells(layers, std::vector<std::vector<std::uint32_t>>(kv_heads, all));
}

void prove_round_trip(const Model& model, std::span<const llama_token> text, int threads, ggml_type cache_type) {
    constexpr std::size_t enough = 64;
    const std::span<const llama_token> some = text.first(std::min(enough, text.size()));
    const auto cells = static_cast<std::uint32_t>(some.size() + 1);
    const std::string named = text::named(model.file().string(), 200);
    Sequence original(model, cells, threads, cache_type), copy(model, cells, threads, cache_type);
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
    copy.become(original, state, all_cells(model.layers(), model.kv_heads(), state.cells()), Granularity::head);
    const auto fail = [&](const char* what) {
        throw Error(
            fmt::format("{} is refused: a cache that is read from llama.cpp and written back whole {}", named, what));
    };
    if (copy.state().bytes() != state.bytes()) fail("is not the same bytes");
    const std::span<const float> expected = original.feed(some.first(1)), found = copy.feed(some.first(1));
    if (std::memcmp(expected.data(), found.data(), expected.size_bytes()) != 0) fail("gives other predictions");
}

} // namespace evictlab::engine
