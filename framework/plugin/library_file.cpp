// SPDX-License-Identifier: MIT
#include "framework/plugin/library_file.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace evictlab {

namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Entry = ElfW(Dyn);

template <class T>
bool read_at(std::string_view bytes, std::uint64_t offset, T& value) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof value) return false;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return true;
}

std::vector<Segment> segments_of(std::string_view bytes) {
    Header header{};
    read_at(bytes, 0, header);
    std::vector<Segment> segments(header.e_phnum);
    for (std::size_t i = 0; i < segments.size(); ++i) read_at(bytes, header.e_phoff + i * sizeof(Segment), segments[i]);
    return segments;
}

std::optional<std::uint64_t> offset_of(const std::vector<Segment>& segments, std::uint64_t address) {
    for (const Segment& segment : segments)
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
            return segment.p_offset + (address - segment.p_vaddr);
    return std::nullopt;
}

std::vector<Entry> dynamic_entries(std::string_view bytes, const std::vector<Segment>& segments) {
    std::vector<Entry> entries;
    for (const Segment& segment : segments) {
        if (segment.p_type != PT_DYNAMIC) continue;
        Entry entry{};
        for (std::uint64_t at = 0; at + sizeof entry <= segment.p_filesz; at += sizeof entry)
            if (!read_at(bytes, segment.p_offset + at, entry) || entry.d_tag == DT_NULL)
                break;
            else
                entries.push_back(entry);
    }
    return entries;
}

/// Search paths and names of other libraries: where in the file each of these texts begins, and its length.
struct Text {
    std::uint64_t at, length;
    bool is_search_path;
};
std::vector<Text> texts_about_others(std::string_view bytes) {
    const std::vector<Segment> segments = segments_of(bytes);
    const std::vector<Entry> entries = dynamic_entries(bytes, segments);
    std::optional<std::uint64_t> table;
    for (const Entry& entry : entries)
        if (entry.d_tag == DT_STRTAB) table = offset_of(segments, entry.d_un.d_ptr);
    std::vector<Text> texts;
    for (const Entry& entry : entries) {
        const auto tag = entry.d_tag;
        const bool about_others =
            tag == DT_RPATH || tag == DT_RUNPATH || tag == DT_NEEDED || tag == DT_AUXILIARY || tag == DT_FILTER;
        if (!about_others || !table || *table >= bytes.size() || entry.d_un.d_val >= bytes.size() - *table) continue;
        const std::uint64_t at = *table + entry.d_un.d_val;
        if (const auto end = bytes.find('\0', at); end != bytes.npos)
            texts.push_back({at, end - at, tag == DT_RPATH || tag == DT_RUNPATH});
    }
    return texts;
}

constexpr std::string_view places[] = {"$ORIGIN", "${ORIGIN}"};
constexpr std::string_view working_directory = "././././.";

} // namespace

std::string library_file_defect(std::string_view bytes) {
    if (bytes.empty()) return "the file is empty";
    if (bytes.substr(0, SELFMAG) != std::string_view(ELFMAG, std::min<std::size_t>(bytes.size(), SELFMAG)))
        return "not a shared library";
    const auto truncated = [&] {
        return fmt::format("the library is truncated: it ends after {} bytes", bytes.size());
    };
    Header header{};
    if (!read_at(bytes, 0, header)) return truncated();
    if (header.e_phentsize != sizeof(Segment)) return "a library for another kind of machine";
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Segment segment{};
        if (!read_at(bytes, header.e_phoff + i * sizeof segment, segment)) return truncated();
        if (segment.p_offset > bytes.size() || segment.p_filesz > bytes.size() - segment.p_offset) return truncated();
    }
    return {};
}

std::vector<std::string> search_path_of(std::string_view bytes) {
    std::vector<std::string> folders;
    for (const Text& text : texts_about_others(bytes)) {
        std::string_view rest = bytes.substr(text.at, text.length);
        while (text.is_search_path && !rest.empty()) {
            const std::size_t end = std::min(rest.find(':'), rest.size());
            if (end > 0) folders.emplace_back(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return folders;
}

bool names_its_place(std::string_view bytes) {
    for (const Text& text : texts_about_others(bytes))
        for (const std::string_view place : places)
            if (bytes.substr(text.at, text.length).find(place) != bytes.npos) return true;
    return false;
}

void put_working_directory_for_place(std::string& bytes) {
    for (const Text& text : texts_about_others(bytes))
        for (const std::string_view place : places) {
            // Both lengths are odd, so what is left of "././././." behind some of its front is a path, too.
            const std::string_view instead = working_directory.substr(working_directory.size() - place.size());
            for (auto at = bytes.find(place, text.at); at < text.at + text.length; at = bytes.find(place, at))
                bytes.replace(at, place.size(), instead);
        }
}

} // namespace evictlab
