// SPDX-License-Identifier: MIT
#include "framework/plugin/library_file.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace evictlab {

namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);

template <class T>
bool read_at(std::ifstream& in, std::uint64_t offset, T& value) {
    in.seekg(static_cast<std::streamoff>(offset));
    return static_cast<bool>(in.read(reinterpret_cast<char*>(&value), sizeof value));
}

} // namespace

std::string library_file_defect(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return "no such file";
    if (!std::filesystem::is_regular_file(file, error)) return "not a file";
    const std::uint64_t size = std::filesystem::file_size(file, error);
    std::ifstream in(file, std::ios::binary);
    if (!in || error) return fmt::format("cannot be read: {}", std::strerror(errno));

    Header header{};
    const std::uint64_t magic_size = std::min<std::uint64_t>(size, SELFMAG);
    in.read(reinterpret_cast<char*>(&header),
            static_cast<std::streamsize>(std::min<std::uint64_t>(size, sizeof header)));
    if (size == 0) return "the file is empty";
    if (std::memcmp(header.e_ident, ELFMAG, magic_size) != 0) return "not a shared library";
    const auto truncated = [&] { return fmt::format("the library is truncated: it ends after {} bytes", size); };
    if (size < sizeof header) return truncated();
    if (header.e_phentsize != sizeof(Segment)) return "a library for another kind of machine";
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Segment segment{};
        if (!read_at(in, header.e_phoff + i * sizeof segment, segment)) return truncated();
        if (segment.p_offset + segment.p_filesz > size) return truncated();
    }
    return {};
}

} // namespace evictlab
