// SPDX-License-Identifier: MIT
#include "base/output/write_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.hpp"
#include "base/input/stop.hpp"

namespace evictlab {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, int error) {
    throw Error(fmt::format("cannot write {}: {}; choose another place", file.string(), std::strerror(error)));
}

/// The error number of the first step that failed, or 0.
int write_all(int descriptor, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(descriptor, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

void write_straight(const std::filesystem::path& file, std::string_view content) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) fail(file, errno);
    const int error = write_all(descriptor, content);
    ::close(descriptor);
    if (error != 0) fail(file, error);
}

} // namespace

void write_file(const std::filesystem::path& file, std::string_view content) {
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored)) fail(file, EISDIR);
    if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored))
        return write_straight(file, content);
    const input::HoldStop held; // or the file beside would be left
    // A link stays a link: what it points at is replaced.
    const auto target = std::filesystem::exists(file, ignored) ? std::filesystem::canonical(file) : file;
    const std::string beside = fmt::format("{}.{}.writing", target.string(), ::getpid());
    const int descriptor = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) fail(file, errno);
    int error = write_all(descriptor, content);
    if (error == 0 && ::fsync(descriptor) != 0) error = errno;
    if (::close(descriptor) != 0 && error == 0) error = errno;
    if (error == 0 && std::rename(beside.c_str(), target.c_str()) != 0) error = errno;
    if (error == 0) return;
    ::unlink(beside.c_str());
    fail(file, error);
}

} // namespace evictlab
