// SPDX-License-Identifier: MIT
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/target.hpp"

namespace evictlab::fuzz {

InputFile::InputFile() : file_(::memfd_create("input", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(file_)) {
    require(file_ >= 0, "memory for a file");
}

void InputFile::put(std::string_view bytes) {
    require(::ftruncate(file_, static_cast<off_t>(bytes.size())) == 0, "a file can be cut");
    require(::pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "a file can be written");
}

} // namespace evictlab::fuzz
