// A file's bytes, mapped read-only.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace evictlab {

/// The size is that at opening. Reading a file that was cut since then ends the process (SIGBUS), so files that are
/// mapped must be replaced whole, never written over. Immutable: safe to share between threads.
class MappedFile {
public:
    /// Throws Error with the file's name where it cannot be opened, is no regular file, or cannot be mapped.
    explicit MappedFile(const std::filesystem::path& file);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return {data_, size_}; }

private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace evictlab
