// SPDX-License-Identifier: MIT
#include "engine/cache_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "engine/model.hpp"

namespace evictlab::engine {
namespace {

constexpr std::uint32_t magic = 0xaf143cd8;

[[noreturn]] void fail(const std::string& what) {
    throw Error("the state of llama.cpp's cache is not as this adapter knows it: " + what +
                "; it knows the llama.cpp that scripts/llama builds");
}

class Writer {
public:
    template <class Number>
    void number(Number value) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
        bytes.insert(bytes.end(), from, from + sizeof value);
    }
    std::vector<std::uint8_t> bytes;
};

void begin(Writer& out, std::span<const std::int32_t> positions, bool transposed, std::size_t layers) {
    out.number(magic);
    out.number(std::int32_t{0});  // sequence
    out.number(std::uint32_t{1}); // streams
    out.number(static_cast<std::uint32_t>(positions.size()));
    for (const std::int32_t position : positions) {
        out.number(position);
        out.number(std::uint32_t{1}); // sequences of the cell
        out.number(std::int32_t{0});
    }
    out.number(std::uint32_t{transposed ? 1U : 0U});
    out.number(static_cast<std::uint32_t>(layers));
}

std::vector<std::uint8_t> state_of(llama_context* context) {
    std::vector<std::uint8_t> bytes(llama_state_seq_get_size(context, 0));
    const std::size_t written = llama_state_seq_get_data(context, bytes.data(), bytes.size(), 0);
    if (written == 0 || written != bytes.size()) throw Error("llama.cpp cannot save its cache" + why_llama_failed());
    return bytes;
}

} // namespace

/// Takes the state apart from its front.
class CacheState::Reader {
public:
    explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    template <class Number>
    Number number() {
        Number value{};
        std::memcpy(&value, bytes_.data() + skip(sizeof value), sizeof value);
        return value;
    }
    /// Of a cache's cells, each of sequence 0 alone.
    std::vector<std::int32_t> positions() {
        expect<std::uint32_t>(1, "its number of streams");
        std::vector<std::int32_t> all;
        const auto count = number<std::uint32_t>();
        for (std::uint32_t i = 0; i < count; ++i) {
            all.push_back(number<std::int32_t>());
            expect<std::uint32_t>(1, "the number of a cell's sequences");
            expect<std::int32_t>(0, "a cell's sequence");
        }
        return all;
    }
    /// Whether values are transposed: they are where attention is no flash attention.
    bool layers_begin(std::size_t layers) {
        const auto transposed = number<std::uint32_t>();
        if (transposed > 1) fail(fmt::format("whether its values are transposed is {}, not 0 or 1", transposed));
        expect<std::uint32_t>(static_cast<std::uint32_t>(layers), "its number of layers");
        return transposed != 0;
    }
    Rows rows(bool transposed) {
        Rows rows;
        rows.type = static_cast<ggml_type>(number<std::int32_t>());
        rows.transposed = transposed;
        if (!transposed) {
            rows.bytes = number<std::uint64_t>();
        } else { // two numbers of 32 bits, whose product fits
            const std::uint64_t of_number = number<std::uint32_t>();
            rows.bytes = of_number * number<std::uint32_t>();
        }
        return rows;
    }
    template <class Number>
    void expect(Number wanted, const char* what) {
        if (const Number found = number<Number>(); found != wanted)
            fail(fmt::format("{} is {}, not {}", what, found, wanted));
    }
    /// Where the next `count` bytes begin.
    std::size_t skip(std::size_t count) {
        if (count > bytes_.size() - at_)
            fail(fmt::format("it ends after {} bytes, within what it should hold", bytes_.size()));
        return std::exchange(at_, at_ + count);
    }
    std::size_t at() const { return at_; }
    std::size_t left() const { return bytes_.size() - at_; }

private:
    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
};

CacheState::CacheState(llama_context* context, const CacheLayout& layout) : CacheState(state_of(context), layout) {}

CacheState::CacheState(std::vector<std::uint8_t> bytes, const CacheLayout& layout)
    : bytes_(std::move(bytes)), kv_heads_(layout.kv_heads) {
    Reader in(bytes_);
    in.expect<std::uint32_t>(magic, "its first number");
    in.expect<std::int32_t>(0, "its sequence");
    parse_full(in, layout.full.size());
    sliding_at_ = in.at();
    if (!layout.sliding.empty()) parse_sliding(in, layout.sliding.size());
    if (in.left() != 0) fail(fmt::format("{} bytes are left behind what is known", in.left()));
}

void CacheState::parse_full(Reader& in, std::size_t layers) {
    positions_ = in.positions();
    if (positions_.empty()) fail("it has no cells");
    const bool transposed = in.layers_begin(layers);
    for (auto* all : {&keys_, &values_})
        for (std::size_t l = 0; l < layers; ++l) {
            Rows rows = in.rows(transposed && all == &values_);
            if (rows.type != GGML_TYPE_F16 && rows.type != GGML_TYPE_F32 && rows.type != GGML_TYPE_BF16)
                fail("its keys and values are not F16, BF16 or F32 (a quantised cache is not handled)");
            const std::size_t floats = rows.bytes / ggml_type_size(rows.type);
            if (dim_ == 0) dim_ = floats / kv_heads_;
            if (floats == 0 || floats != dim_ * kv_heads_ || rows.bytes % ggml_type_size(rows.type) != 0)
                fail(fmt::format("a cell's row has {} bytes, not {} heads of {}, in layer {} of those that are whole",
                                 rows.bytes, kv_heads_, dim_, l));
            rows.at = in.skip(rows.bytes * positions_.size());
            all->push_back(rows);
        }
}

void CacheState::parse_sliding(Reader& in, std::size_t layers) {
    const std::vector<std::int32_t> positions = in.positions();
    sliding_cells_ = positions.size();
    if (sliding_cells_ == 0 || *std::ranges::max_element(positions) != *std::ranges::max_element(positions_))
        fail("its two caches do not end at the same position");
    const bool transposed = in.layers_begin(layers);
    for (std::size_t l = 0; l < 2 * layers; ++l) {
        const std::size_t bytes = in.rows(transposed && l >= layers).bytes;
        if (bytes == 0 || bytes > in.left()) fail(fmt::format("a row of its second cache has {} bytes", bytes));
        in.skip(bytes * sliding_cells_);
        sliding_row_bytes_ += bytes;
    }
}

std::size_t CacheState::bytes_of_cell() const {
    std::size_t sum = 0;
    for (const auto* all : {&keys_, &values_})
        for (const Rows& rows : *all) sum += rows.bytes;
    return sum;
}

/// Where a number of a cell's row lies behind Rows::at, in numbers.
std::size_t CacheState::place(const Rows& rows, std::size_t cell, std::size_t x, std::size_t cells) const {
    return rows.transposed ? x * cells + cell : cell * kv_heads_ * dim_ + x;
}

std::vector<float> CacheState::floats(const Rows& rows) const {
    const std::size_t n = cells(), size = ggml_type_size(rows.type), together = rows.transposed ? 1 : dim_;
    std::vector<float> out(kv_heads_ * n * dim_);
    const ggml_to_float_t to_float = ggml_get_type_traits(rows.type)->to_float;
    float* to = out.data();
    for (std::size_t h = 0; h < kv_heads_; ++h)
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t x = 0; x < dim_; x += together, to += together) {
                const std::uint8_t* from = bytes_.data() + rows.at + place(rows, i, h * dim_ + x, n) * size;
                if (rows.type == GGML_TYPE_F32)
                    std::memcpy(to, from, together * sizeof(float));
                else
                    to_float(from, to, static_cast<std::int64_t>(together));
            }
    return out;
}

std::vector<std::uint8_t> CacheState::with_cells(const KeptCells& kept, std::span<const std::int32_t> positions) const {
    Writer out;
    const std::size_t count = positions.size();
    out.bytes.reserve(64 + count * (12 + bytes_of_cell()) + 24 * keys_.size() + bytes_.size() - sliding_at_);
    begin(out, positions, values_.front().transposed, keys_.size());
    for (const auto* all : {&keys_, &values_})
        for (std::size_t l = 0; l < all->size(); ++l) {
            const Rows& rows = (*all)[l];
            const std::size_t size = ggml_type_size(rows.type), together = rows.transposed ? 1 : dim_;
            out.number(static_cast<std::int32_t>(rows.type));
            if (rows.transposed) {
                out.number(static_cast<std::uint32_t>(size));
                out.number(static_cast<std::uint32_t>(rows.bytes / size));
            } else {
                out.number(static_cast<std::uint64_t>(rows.bytes));
            }
            const std::size_t at = out.bytes.size();
            out.bytes.resize(at + count * rows.bytes);
            for (std::size_t h = 0; h < kv_heads_; ++h)
                for (std::size_t j = 0; j < count; ++j)
                    for (std::size_t x = h * dim_; x < (h + 1) * dim_; x += together)
                        std::memcpy(out.bytes.data() + at + place(rows, j, x, count) * size,
                                    bytes_.data() + rows.at + place(rows, kept[l][h][j], x, cells()) * size,
                                    together * size);
        }
    out.bytes.insert(out.bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(sliding_at_), bytes_.end());
    return std::move(out.bytes);
}

void restore(llama_context* context, std::span<const std::uint8_t> bytes) {
    llama_memory_clear(llama_get_memory(context), true);
    if (llama_state_seq_set_data(context, bytes.data(), bytes.size(), 0) != bytes.size())
        throw Error("llama.cpp does not take the cache back, and nothing is cached any more" + why_llama_failed());
}

} // namespace evictlab::engine
