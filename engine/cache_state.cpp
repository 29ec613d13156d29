// SPDX-License-Identifier: MIT
#include "engine/cache_state.hpp"

#include <fmt/format.h>

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

/// Takes the state apart from its front.
class Reader {
public:
    explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    template <class Number>
    Number number() {
        Number value{};
        std::memcpy(&value, bytes_.data() + skip(sizeof value), sizeof value);
        return value;
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
    std::size_t left() const { return bytes_.size() - at_; }

private:
    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
};

class Writer {
public:
    template <class Number>
    void number(Number value) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
        bytes.insert(bytes.end(), from, from + sizeof value);
    }
    std::vector<std::uint8_t> bytes;
};

void begin(Writer& out, std::span<const std::int32_t> positions, std::size_t layers) {
    out.number(magic);
    out.number(std::int32_t{0});  // sequence
    out.number(std::uint32_t{1}); // streams
    out.number(static_cast<std::uint32_t>(positions.size()));
    for (const std::int32_t position : positions) {
        out.number(position);
        out.number(std::uint32_t{1}); // sequences of the cell
        out.number(std::int32_t{0});
    }
    out.number(std::uint32_t{0}); // values are not transposed
    out.number(static_cast<std::uint32_t>(layers));
}

std::vector<std::uint8_t> state_of(llama_context* context) {
    std::vector<std::uint8_t> bytes(llama_state_seq_get_size(context, 0));
    const std::size_t written = llama_state_seq_get_data(context, bytes.data(), bytes.size(), 0);
    if (written == 0 || written != bytes.size()) throw Error("llama.cpp cannot save its cache" + why_llama_failed());
    return bytes;
}

} // namespace

CacheState::CacheState(llama_context* context, std::size_t layers, std::size_t kv_heads)
    : CacheState(state_of(context), layers, kv_heads) {}

CacheState::CacheState(std::vector<std::uint8_t> bytes, std::size_t layers, std::size_t kv_heads)
    : bytes_(std::move(bytes)), kv_heads_(kv_heads) {
    parse(layers);
}

void CacheState::parse(std::size_t layers) {
    Reader in(bytes_);
    in.expect<std::uint32_t>(magic, "its first number");
    in.expect<std::int32_t>(0, "its sequence");
    in.expect<std::uint32_t>(1, "its number of streams");
    const auto count = in.number<std::uint32_t>();
    if (count == 0) fail("it has no cells");
    for (std::uint32_t i = 0; i < count; ++i) {
        positions_.push_back(in.number<std::int32_t>());
        in.expect<std::uint32_t>(1, "the number of a cell's sequences");
        in.expect<std::int32_t>(0, "a cell's sequence");
    }
    in.expect<std::uint32_t>(0, "whether values are transposed");
    in.expect<std::uint32_t>(static_cast<std::uint32_t>(layers), "its number of layers");
    for (auto* all : {&keys_, &values_})
        for (std::size_t l = 0; l < layers; ++l) {
            Rows rows;
            rows.type = static_cast<ggml_type>(in.number<std::int32_t>());
            if (rows.type != GGML_TYPE_F16 && rows.type != GGML_TYPE_F32 && rows.type != GGML_TYPE_BF16)
                fail("its keys and values are not F16, BF16 or F32 (a quantised cache is not handled)");
            rows.row_bytes = in.number<std::uint64_t>();
            const std::size_t floats = rows.row_bytes / ggml_type_size(rows.type);
            if (dim_ == 0) dim_ = floats / kv_heads_;
            if (floats == 0 || floats != dim_ * kv_heads_ || rows.row_bytes % ggml_type_size(rows.type) != 0)
                fail(fmt::format("a cell's row has {} bytes, not {} heads of {}, in layer {}", rows.row_bytes,
                                 kv_heads_, dim_, l));
            rows.at = in.skip(rows.row_bytes * count);
            all->push_back(rows);
        }
    if (in.left() != 0) fail(fmt::format("{} bytes are left behind what is known", in.left()));
}

std::size_t CacheState::bytes_of_cell() const {
    std::size_t sum = 0;
    for (const auto* all : {&keys_, &values_})
        for (const Rows& rows : *all) sum += rows.row_bytes;
    return sum;
}

std::vector<float> CacheState::floats(const Rows& rows) const {
    const std::size_t head_bytes = rows.row_bytes / kv_heads_;
    std::vector<float> out(kv_heads_ * cells() * dim_);
    const ggml_to_float_t to_float = ggml_get_type_traits(rows.type)->to_float;
    float* to = out.data();
    for (std::size_t h = 0; h < kv_heads_; ++h)
        for (std::size_t i = 0; i < cells(); ++i, to += dim_) {
            const std::uint8_t* from = bytes_.data() + rows.at + i * rows.row_bytes + h * head_bytes;
            if (rows.type == GGML_TYPE_F32)
                std::memcpy(to, from, head_bytes);
            else
                to_float(from, to, static_cast<std::int64_t>(dim_));
        }
    return out;
}

std::vector<std::uint8_t> CacheState::with_cells(const KeptCells& kept, std::span<const std::int32_t> positions) const {
    Writer out;
    const std::size_t count = positions.size();
    out.bytes.reserve(64 + count * (12 + bytes_of_cell()) + 24 * keys_.size());
    begin(out, positions, keys_.size());
    for (const auto* all : {&keys_, &values_})
        for (std::size_t l = 0; l < all->size(); ++l) {
            const Rows& rows = (*all)[l];
            const std::size_t head_bytes = rows.row_bytes / kv_heads_, at = out.bytes.size() + 12;
            out.number(static_cast<std::int32_t>(rows.type));
            out.number(static_cast<std::uint64_t>(rows.row_bytes));
            out.bytes.resize(at + count * rows.row_bytes);
            for (std::size_t h = 0; h < kv_heads_; ++h)
                for (std::size_t j = 0; j < count; ++j)
                    std::memcpy(out.bytes.data() + at + j * rows.row_bytes + h * head_bytes,
                                bytes_.data() + rows.at + kept[l][h][j] * rows.row_bytes + h * head_bytes, head_bytes);
        }
    return std::move(out.bytes);
}

void restore(llama_context* context, std::span<const std::uint8_t> bytes) {
    llama_memory_clear(llama_get_memory(context), true);
    if (llama_state_seq_set_data(context, bytes.data(), bytes.size(), 0) != bytes.size())
        throw Error("llama.cpp does not take the cache back" + why_llama_failed());
}

} // namespace evictlab::engine
