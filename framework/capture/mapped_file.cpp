// SPDX-License-Identifier: MIT
#include "framework/capture/mapped_file.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "base/input/input.hpp"
#include "base/text/shown.hpp"

namespace evictlab {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view what) {
    throw Error(fmt::format("{}: {}", text::line(file.string()), what));
}

input::Input opened(const std::filesystem::path& file) {
    try {
        return {file, input::Accept::files};
    } catch (const input::Problem& problem) {
        fail(file, problem.what());
    }
}

} // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
    const input::Input open = opened(file);
    size_ = static_cast<std::size_t>(open.size());
    if (size_ == 0) return;
    void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, open.descriptor(), 0);
    if (mapped == MAP_FAILED) fail(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

} // namespace evictlab
