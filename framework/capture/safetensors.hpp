// safetensors files (https://github.com/huggingface/safetensors): 8 bytes little-endian length of a JSON header, the
// header, the tensors' data.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/capture/mapped_file.hpp"

namespace evictlab {

enum class DType : std::uint8_t {
    boolean,
    u8,
    i8,
    f8_e4m3,
    f8_e5m2,
    u16,
    i16,
    f16,
    bf16,
    u32,
    i32,
    f32,
    u64,
    i64,
    f64
};
std::string_view to_string(DType type); ///< as the format spells it: F16
std::size_t size_of(DType type);        ///< bytes a value

struct TensorInfo {
    std::string name;
    DType type = DType::f32;
    std::vector<std::size_t> shape; ///< row-major; empty for a single value
    std::size_t begin = 0, end = 0; ///< bytes within the data, which begins behind the header
    std::size_t values() const { return (end - begin) / size_of(type); }
};

/// "[9, 1152, 64]"
std::string shape_text(std::span<const std::size_t> shape);

/// A file whose header was checked as a whole: known types, each byte of the data in exactly one tensor, sizes that go
/// with the shapes, no name twice. Immutable and thread-safe.
class SafetensorsFile {
public:
    /// Throws Error with the file, the tensor and what is wrong.
    explicit SafetensorsFile(const std::filesystem::path& file);

    const std::filesystem::path& file() const { return file_; }
    std::size_t size() const { return mapped_.bytes().size(); } ///< of the file, in bytes
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const std::vector<TensorInfo>& tensors() const { return tensors_; } ///< in the order of their data
    const TensorInfo* find(std::string_view name) const;                ///< null where there is none
    const TensorInfo& at(std::string_view name) const;                  ///< Error where there is none
    /// Little-endian and perhaps not aligned to the type.
    std::span<const std::byte> bytes(const TensorInfo& tensor) const {
        return data_.subspan(tensor.begin, tensor.end - tensor.begin);
    }
    [[noreturn]] void fail(std::string_view what) const;                          ///< Error: file, what
    [[noreturn]] void fail(std::string_view tensor, std::string_view what) const; ///< Error: file, tensor, what

private:
    void check_layout();

    std::filesystem::path file_;
    MappedFile mapped_;
    std::span<const std::byte> data_;
    std::map<std::string, std::string> metadata_;
    std::vector<TensorInfo> tensors_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
};

} // namespace evictlab
