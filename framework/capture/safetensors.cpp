// SPDX-License-Identifier: MIT
#include "framework/capture/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/safetensors_header.hpp"

namespace evictlab {
namespace {

constexpr std::size_t length_bytes = 8;
constexpr std::size_t largest_header = 100'000'000; // the limit of the format's own library
constexpr std::string_view cut_short = "the file is cut short or damaged: copy or capture it again";

std::uint64_t header_length(std::span<const std::byte> bytes) {
    std::uint64_t length = 0;
    for (std::size_t i = length_bytes; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return length;
}

/// The bytes that the shape asks for; false where their number is beyond 64 bits.
bool bytes_of(const TensorInfo& tensor, std::size_t& bytes) {
    bytes = size_of(tensor.type);
    for (const std::size_t length : tensor.shape)
        if (__builtin_mul_overflow(bytes, length, &bytes)) return false;
    return true;
}

} // namespace

std::string shape_text(std::span<const std::size_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file) : file_(file), mapped_(file) {
    const std::span<const std::byte> bytes = mapped_.bytes();
    if (bytes.size() < length_bytes)
        fail(fmt::format("has {} bytes, too few for a safetensors file; {}", bytes.size(), cut_short));
    const std::uint64_t length = header_length(bytes);
    if (length > bytes.size() - length_bytes)
        fail(fmt::format("claims a header of {} bytes, but has {} behind its length: it is no safetensors file, or {}",
                         length, bytes.size() - length_bytes, cut_short));
    if (length > largest_header)
        fail(fmt::format("claims a header of {} bytes; safetensors allows {}", length, largest_header));
    data_ = bytes.subspan(length_bytes + length);
    const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + length_bytes, length);
    if (json.empty() || json.front() != '{') fail("the header does not begin with '{': it is no safetensors file");
    const auto on_failure = [this](std::string_view tensor, std::string_view what) {
        if (tensor.empty()) fail(what);
        fail(tensor, what);
    };
    SafetensorsHeader header = parse_safetensors_header(json, on_failure);
    metadata_ = std::move(header.metadata);
    tensors_ = std::move(header.tensors);
    check_layout();
}

void SafetensorsFile::check_layout() {
    std::ranges::stable_sort(tensors_, {}, [](const TensorInfo& t) { return std::pair(t.begin, t.end); });
    std::size_t covered = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
        const TensorInfo& tensor = tensors_[i];
        if (tensor.end < tensor.begin)
            fail(tensor.name,
                 fmt::format("its data ends at byte {}, before it begins at {}", tensor.end, tensor.begin));
        if (tensor.end > data_.size())
            fail(tensor.name, fmt::format("its data is bytes {} to {}, but the file has {} bytes of data; {}",
                                          tensor.begin, tensor.end, data_.size(), cut_short));
        std::size_t wanted = 0;
        if (!bytes_of(tensor, wanted))
            fail(tensor.name, fmt::format("its shape {} is larger than any file", shape_text(tensor.shape)));
        if (wanted != tensor.end - tensor.begin)
            fail(tensor.name,
                 fmt::format("its shape {} of {} needs {} bytes, but its data has {}", shape_text(tensor.shape),
                             to_string(tensor.type), wanted, tensor.end - tensor.begin));
        if (tensor.begin < covered)
            fail(tensor.name,
                 fmt::format("its data overlaps with that of tensor {}: bytes {} to {} are in both",
                             text::named(tensors_[i - 1].name), tensor.begin, std::min(covered, tensor.end)));
        if (tensor.begin > covered)
            fail(tensor.name,
                 fmt::format("bytes {} to {} in front of its data are in no tensor, which safetensors does "
                             "not allow",
                             covered, tensor.begin));
        covered = tensor.end;
        by_name_.emplace(tensor.name, i);
    }
    if (covered != data_.size())
        fail(fmt::format("bytes {} to {}, the last of its data, are in no tensor, which safetensors does not allow",
                         covered, data_.size()));
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
    const TensorInfo* const tensor = find(name);
    if (tensor == nullptr) fail(name, "is missing; capture the file again");
    return *tensor;
}

void SafetensorsFile::fail(std::string_view what) const {
    throw Error(fmt::format("{}: {}", text::line(file_.string()), what));
}

void SafetensorsFile::fail(std::string_view tensor, std::string_view what) const {
    fail(fmt::format("tensor {}: {}", text::named(tensor), what));
}

} // namespace evictlab
