// SPDX-License-Identifier: MIT
#include "engine/output_projection.hpp"

#include <fmt/format.h>
#include <gguf.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>

#include "base/error.hpp"
#include "base/text/shown.hpp"

namespace evictlab::engine {
namespace {

struct Free {
    void operator()(gguf_context* file) const { gguf_free(file); }
};

std::vector<char> bytes_of(const std::filesystem::path& file, std::size_t at, std::size_t size) {
    std::vector<char> bytes(size);
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(at));
    if (!in.read(bytes.data(), static_cast<std::streamsize>(size)))
        throw Error(fmt::format("{} cannot be read", text::named(file.string(), 200)));
    return bytes;
}

} // namespace

std::vector<float> output_projection(const std::filesystem::path& gguf, std::size_t layer, std::size_t width) {
    const std::unique_ptr<gguf_context, Free> file(gguf_init_from_file(gguf.c_str(), {true, nullptr}));
    const std::string name = fmt::format("blk.{}.attn_output.weight", layer);
    const std::int64_t id = file ? gguf_find_tensor(file.get(), name.c_str()) : -1;
    const auto fail = [&](const std::string& what) {
        throw Error(fmt::format("{}: {} {}; the scorer reads norms of values behind it",
                                text::named(gguf.string(), 200), name, what));
    };
    if (id < 0) fail("is not in the file (of a model in several files only the first is read)");
    const std::int64_t* shape = gguf_get_tensor_ne(file.get(), id);
    if (shape[0] != static_cast<std::int64_t>(width) || shape[2] != 1)
        fail(fmt::format("takes {} numbers, not {}", shape[0], width));
    const ggml_type type = gguf_get_tensor_type(file.get(), id);
    const ggml_to_float_t to_float = ggml_get_type_traits(type)->to_float;
    if (type != GGML_TYPE_F32 && to_float == nullptr)
        fail(fmt::format("has type {}, which cannot be read", ggml_type_name(type)));

    const auto bytes = bytes_of(gguf, gguf_get_data_offset(file.get()) + gguf_get_tensor_offset(file.get(), id),
                                gguf_get_tensor_size(file.get(), id));
    std::vector<float> floats(width * static_cast<std::size_t>(shape[1]));
    if (type == GGML_TYPE_F32)
        std::copy_n(reinterpret_cast<const float*>(bytes.data()), floats.size(), floats.data());
    else
        to_float(bytes.data(), floats.data(), static_cast<std::int64_t>(floats.size()));
    return floats;
}

} // namespace evictlab::engine
