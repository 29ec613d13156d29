// SPDX-License-Identifier: MIT
#include "isolation/shared_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/error.hpp"
#include "isolation/control.hpp"

#ifndef F_SEAL_FUTURE_WRITE // Linux 5.1, younger than some C libraries
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace evictlab::isolation {
namespace {

[[noreturn]] void fail(const char* what) {
    throw Error(fmt::format("shared memory for a plugin's process: {}: {}", what, std::strerror(errno)));
}

} // namespace

SharedMemory::SharedMemory(const char* name, std::size_t size, Access access_of_others) : size_(size) {
    const int made = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0) fail("memfd_create");
    descriptor_ = ::fcntl(made, F_DUPFD_CLOEXEC, lowest_of_host);
    ::close(made);
    if (descriptor_ < 0) fail("fcntl");
    try {
        if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) fail("ftruncate");
        map(nullptr, PROT_READ | PROT_WRITE);
        int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
        if (access_of_others == Access::read_only) seals |= F_SEAL_FUTURE_WRITE;
        if (::fcntl(descriptor_, F_ADD_SEALS, seals) != 0) fail("sealing");
    } catch (...) {
        if (data_) ::munmap(data_, size_);
        ::close(descriptor_);
        throw;
    }
}

SharedMemory::SharedMemory(int descriptor, Access access) : descriptor_(descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) fail("fstat");
    size_ = static_cast<std::size_t>(status.st_size);
    void* const reserved =
        ::mmap(nullptr, size_ + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) fail("mmap");
    guards_ = static_cast<std::byte*>(reserved);
    map(guards_ + guard, access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE);
    ::close(descriptor_);
    descriptor_ = -1;
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
