// SPDX-License-Identifier: MIT
#include "base/input/input.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/input/stop.hpp"

namespace evictlab::input {
namespace {

constexpr int slice_ms = 100; ///< how long one wait is, and so how late a stop may be seen
constexpr int longest_without_writer_ms = 10'000;
constexpr int longest_silence_ms = 600'000;
constexpr std::size_t block_bytes = std::size_t{1} << 20;

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

[[noreturn]] void fail(int error) { throw Problem(std::string("cannot be read: ") + std::strerror(error)); }

struct stat status_of(int descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) fail(errno);
    return status;
}

void check_kind(const struct stat& status, Accept accept) {
    if (S_ISREG(status.st_mode)) return;
    if (S_ISDIR(status.st_mode)) throw Problem("is a folder, not a file");
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) throw Problem("is a device, not a file");
    if (S_ISSOCK(status.st_mode)) throw Problem("is a socket, not a file");
    if (!S_ISFIFO(status.st_mode)) throw Problem("is not a regular file");
    if (accept == Accept::files) throw Problem("is a pipe, but must be a regular file");
}

/// Looked at before it is opened: opening some devices does something.
int open_checked(const std::filesystem::path& path, Accept accept) {
    constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const Descriptor place{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    if (place.fd < 0) fail(errno);
    check_kind(status_of(place.fd), accept);
    const std::string same = "/proc/self/fd/" + std::to_string(place.fd);
    int descriptor = ::open(same.c_str(), flags);
    if (descriptor < 0 && errno == ENOENT) descriptor = ::open(path.c_str(), flags); // where /proc is not mounted
    if (descriptor < 0) fail(errno);
    return descriptor;
}

} // namespace

void stop_if_requested() {
    if (stop_requested()) throw Stopped();
}

Input::Input(const std::filesystem::path& path, Accept accept) : descriptor_(open_checked(path, accept)) {
    Descriptor until_checked{descriptor_};
    const struct stat status = status_of(descriptor_);
    check_kind(status, accept);
    pipe_ = S_ISFIFO(status.st_mode);
    size_ = pipe_ ? 0 : static_cast<std::uint64_t>(status.st_size);
    until_checked.fd = -1;
}

Input::Input(Input&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), pipe_(other.pipe_), begun_(other.begun_), size_(other.size_) {}

Input::~Input() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void Input::wait_for_more(int& silent_ms, bool writer) const {
    if (!writer && silent_ms >= longest_without_writer_ms)
        throw Problem("is a pipe that nobody writes to; give a file, or start what writes to it first");
    if (silent_ms >= longest_silence_ms) throw Problem("is a pipe that was silent for ten minutes");
    pollfd waited{descriptor_, POLLIN, 0};
    const int ready = ::poll(&waited, 1, slice_ms);
    if (ready == 0) silent_ms += slice_ms;
    // Without a writer there is nothing to wait for that poll() knows, and it may return at once.
    if (ready > 0 && !writer) {
        ::poll(nullptr, 0, slice_ms);
        silent_ms += slice_ms;
    }
}

std::size_t Input::read(std::span<char> block) {
    for (int silent_ms = 0;;) {
        stop_if_requested();
        const ssize_t count = ::read(descriptor_, block.data(), block.size());
        if (count > 0) {
            begun_ = true;
            return static_cast<std::size_t>(count);
        }
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) fail(errno);
        if (count == 0) {
            // A FIFO ends when its last writer has gone; before the first one came it only looks as if.
            pollfd state{descriptor_, POLLIN, 0};
            const bool ended = !pipe_ || begun_ || (::poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0);
            if (ended) return 0;
        }
        wait_for_more(silent_ms, count < 0);
    }
}

std::string read_whole(const std::filesystem::path& path, std::uint64_t most, Accept accept) {
    Input from(path, accept);
    const auto too_large = [most] {
        return Problem("larger than " + std::to_string(most >> 20) + " MiB: not a file of ours");
    };
    if (from.size() > most) throw too_large();
    std::string block(64 * 1024, '\0'), content;
    while (const std::size_t count = from.read(block)) {
        content.append(block, 0, count);
        if (content.size() > most) throw too_large();
    }
    return content;
}

void read_blocks(const std::filesystem::path& path, const std::function<void(std::string_view)>& take) {
    Input from(path, Accept::files);
    std::string block(block_bytes, '\0');
    while (const std::size_t count = from.read(block)) take(std::string_view(block).substr(0, count));
}

} // namespace evictlab::input
