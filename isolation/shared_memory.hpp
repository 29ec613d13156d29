// Memory that two processes share: an unnamed file (memfd) whose pages take room when first touched, also by reading.
// So one that may become large is as long as what its maker has asked for, and whoever reaches past that gets SIGBUS
// and no pages. Linux frees it with the last process that holds it, however that one ended. For one thread at a time.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>

namespace evictlab::isolation {

/// Descriptors of the host that a worker is started with are no lower, so that they are not those that it is given
/// (control.hpp).
inline constexpr int lowest_of_host = 10;

class SharedMemory {
public:
    enum class Access { read_only, read_write };
    enum class Length { fixed, grows };

    /// Room for `size` bytes, a whole number of pages; mapped here for reading and writing. With `read_only` nobody
    /// else can map it for writing any more (F_SEAL_FUTURE_WRITE). What grows begins with nothing. Nobody can make it
    /// shorter. Throws Error.
    SharedMemory(const char* name, std::size_t size, Access access_of_others, Length length = Length::fixed);
    /// One that another process made, by its descriptor, which is closed; between pages that nobody may touch. Throws
    /// Error.
    SharedMemory(int descriptor, std::size_t size, Access access);
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory();

    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; } ///< at most
    /// Makes the first `bytes` usable, in every process that maps it; no more than size(). By its maker. Throws Error.
    void reach(std::size_t bytes) {
        if (bytes > length_) grow(bytes);
    }
    int descriptor() const { return descriptor_; } ///< of its maker: at least 10, closed in children that exec; else -1
    bool holds(const void* address) const { return address >= data_ && address < data_ + size_; }
    bool guards_begin(const void* address) const { return guards_ && address >= guards_ && address < data_; }
    bool guards_end(const void* address) const {
        return guards_ && address >= data_ + size_ && address < data_ + size_ + guard;
    }
    static constexpr std::size_t guard = std::size_t{1} << 20; ///< bytes before and behind, of what another made

private:
    void map(void* where, int protection);
    void grow(std::size_t bytes);
    std::byte* data_ = nullptr;
    std::size_t size_ = 0, length_ = 0;
    int descriptor_ = -1;
    std::byte* guards_ = nullptr; ///< the whole of guards and data
};

} // namespace evictlab::isolation
