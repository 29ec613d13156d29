// SPDX-License-Identifier: MIT
#include "isolation/shared_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "isolation/control.hpp"

#ifndef F_SEAL_FUTURE_WRITE // Linux 5.1, younger than some C libraries
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace evictlab::isolation {
namespace {

constexpr std::size_t step = std::size_t{256} << 10; // by which memory grows: what a reader can waste

[[noreturn]] void fail(const char* what) {
    throw Error(fmt::format("shared memory for a plugin's process: {}: {}", what, std::strerror(errno)));
}

} // namespace

SharedMemory::SharedMemory(const char* name, std::size_t size, Access access_of_others, Length length) : size_(size) {
    const int made = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0) fail("memfd_create");
    descriptor_ = ::fcntl(made, F_DUPFD_CLOEXEC, lowest_of_host);
    ::close(made);
    if (descriptor_ < 0) fail("fcntl");
    try {
        if (length == Length::fixed) grow(size);
        map(nullptr, PROT_READ | PROT_WRITE);
        int seals = F_SEAL_SHRINK | F_SEAL_SEAL;
        if (length == Length::fixed) seals |= F_SEAL_GROW;
        if (access_of_others == Access::read_only) seals |= F_SEAL_FUTURE_WRITE;
        if (::fcntl(descriptor_, F_ADD_SEALS, seals) != 0) fail("sealing");
    } catch (...) {
        if (data_) ::munmap(data_, size_);
        ::close(descriptor_);
        throw;
    }
}

SharedMemory::SharedMemory(int descriptor, std::size_t size, Access access) : size_(size), descriptor_(descriptor) {
    void* const reserved =
        ::mmap(nullptr, size_ + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) fail("mmap");
    guards_ = static_cast<std::byte*>(reserved);
    map(guards_ + guard, access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE);
    ::close(descriptor_);
    descriptor_ = -1;
}

void SharedMemory::grow(std::size_t bytes) {
    if (bytes > size_) throw Error("shared memory for a plugin's process has no room for more");
    const std::size_t length = std::min(size_, (bytes + step - 1) / step * step);
    if (::ftruncate(descriptor_, static_cast<off_t>(length)) != 0) fail("ftruncate");
    length_ = length;
}

void SharedMemory::map(void* where, int protection) {
    const int flags = MAP_SHARED | MAP_NORESERVE | (where ? MAP_FIXED : 0);
    void* const mapped = ::mmap(where, size_, protection, flags, descriptor_, 0);
    if (mapped == MAP_FAILED && errno == ENOMEM)
        throw Error(fmt::format("no address space for a plugin's process, which takes {} GiB: raise the limit (ulimit "
                                "-v), or run plugins in this process (--no-isolate)",
                                (input_memory + output_memory) >> 30));
    if (mapped == MAP_FAILED) fail("mmap");
    data_ = static_cast<std::byte*>(mapped);
}

SharedMemory::~SharedMemory() {
    if (guards_)
        ::munmap(guards_, size_ + 2 * guard);
    else
        ::munmap(data_, size_);
    if (descriptor_ >= 0) ::close(descriptor_);
}

} // namespace evictlab::isolation
