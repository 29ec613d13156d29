// Reading what somebody named: a regular file, or a pipe where one is meant (/dev/stdin, a shell's <(...), a FIFO), and
// nothing else. Whatever the name stands for, the answer comes: a device is never opened, a pipe has limits of size and
// silence, and every wait ends when the program is asked to stop. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace evictlab::input {

/// What stands behind a file's name in a message: "is a folder, not a file".
struct Problem : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// stop_requested() was set while something was read.
struct Stopped : Problem {
    Stopped() : Problem("was not read to its end, as the program was asked to stop") {}
};

/// Throws Stopped where the program is asked to stop. For loops over what was read, once a block.
void stop_if_requested();

enum class Accept : std::uint8_t { files, files_and_pipes };

/// An open file or pipe. Movable; closes itself.
class Input {
public:
    /// Throws Problem where it cannot be opened, or is a folder, a device, a socket or, if not accepted, a pipe.
    Input(const std::filesystem::path& path, Accept accept);
    Input(Input&& other) noexcept;
    Input& operator=(Input&&) = delete;
    ~Input();

    int descriptor() const { return descriptor_; }
    std::uint64_t size() const { return size_; } ///< of a file, when it was opened
    /// Up to block.size() bytes, 0 at the end. Waits for a pipe: 10 s for somebody who writes to a FIFO, ten minutes
    /// for more from somebody who does. Throws Problem, or Stopped.
    std::size_t read(std::span<char> block);

private:
    void wait_for_more(int& silent_ms, bool writer) const;

    int descriptor_ = -1;
    bool pipe_ = false, begun_ = false;
    std::uint64_t size_ = 0;
};

/// All of it; Problem where that is more than `most` bytes.
std::string read_whole(const std::filesystem::path& path, std::uint64_t most, Accept accept);
/// A file's bytes in blocks of up to 1 MiB, in order.
void read_blocks(const std::filesystem::path& path, const std::function<void(std::string_view)>& take);

} // namespace evictlab::input
