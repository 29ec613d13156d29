// SPDX-License-Identifier: MIT
#include "framework/capture/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/error.hpp"

namespace evictlab {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view what) {
    throw Error(fmt::format("{}: cannot be read: {}", file.string(), what));
}

struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

} // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
    const Descriptor open{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // a pipe must not block
    if (open.fd < 0) fail(file, std::strerror(errno));
    struct stat status {};
    if (::fstat(open.fd, &status) != 0) fail(file, std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail(file, "it is not a regular file");
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, open.fd, 0);
    if (mapped == MAP_FAILED) fail(file, std::strerror(errno));
    data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

} // namespace evictlab
