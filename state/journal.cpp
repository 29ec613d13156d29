// SPDX-License-Identifier: MIT
#include "state/journal.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdexcept>

#include "base/digest/digest.hpp"
#include "state/files.hpp"
#include "state/store.hpp"

namespace evictlab::state {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t line_limit = std::size_t{16} << 20;
constexpr std::size_t chunk = std::size_t{1} << 20;

void check_length(const File& file, const fs::path& journal, const JournalMark& mark) {
    const struct stat status = file.status();
    if (!S_ISREG(status.st_mode))
        throw StateError(fmt::format("the journal '{}' is no regular file.", journal.string()));
    if (static_cast<std::uint64_t>(status.st_size) < mark.bytes)
        throw StateError(
            fmt::format("the journal '{}' is {} bytes long, shorter than the {} that the state records: its "
                        "end was lost.",
                        journal.string(), status.st_size, mark.bytes));
}

[[noreturn]] void fail_altered(const fs::path& journal) {
    throw StateError(
        fmt::format("the journal '{}' is not the one that the state was saved with: it was edited, damaged or "
                    "belongs to another run.",
                    journal.string()));
}

} // namespace

std::string JournalMark::beginning() {
    static const std::string hash = "sha256:" + sha256_hex("");
    return hash;
}

void JournalMark::add(std::string_view line) {
    chain.append(line);
    chain = "sha256:" + sha256_hex(chain);
    bytes += line.size() + 1;
    ++lines;
}

JournalMark extended(JournalMark mark, std::span<const std::string> lines) {
    for (const std::string& line : lines) {
        if (line.size() > line_limit || !line.starts_with('{') || !line.ends_with('}') || line.find('\n') != line.npos)
            throw std::invalid_argument("a journal line is one JSON object without line breaks");
        mark.add(line);
    }
    return mark;
}

void append_lines(FileOps& ops, const fs::path& journal, const JournalMark& mark, std::span<const std::string> lines) {
    std::string text;
    for (const std::string& line : lines) (text += line) += '\n';
    // Made by create() and never again: a journal that vanished must not be replaced by its last lines.
    File file(ops, journal, O_WRONLY | O_APPEND);
    check_length(file, journal, mark);
    if (static_cast<std::uint64_t>(file.status().st_size) > mark.bytes) file.cut(mark.bytes);
    file.write(text);
    file.flush();
    file.close();
}

void cut_unsaved(FileOps& ops, const fs::path& journal, const JournalMark& mark) {
    const File file(ops, journal, O_WRONLY);
    if (static_cast<std::uint64_t>(file.status().st_size) <= mark.bytes) return;
    file.cut(mark.bytes);
    file.flush();
}

void scan_lines(FileOps& ops, const fs::path& journal, const JournalMark& mark,
                const std::function<void(std::string_view)>& visit) {
    const File file(ops, journal, O_RDONLY);
    check_length(file, journal, mark);
    JournalMark seen;
    std::string pending; // what was read and not yet seen as a line
    std::uint64_t left = mark.bytes;
    while (left > 0) {
        const std::size_t old = pending.size();
        if (old > line_limit) fail_altered(journal);
        pending.resize(old + static_cast<std::size_t>(std::min<std::uint64_t>(chunk, left)));
        const std::size_t count = file.read(pending.data() + old, pending.size() - old);
        if (count == 0) fail_altered(journal);
        pending.resize(old + count);
        left -= count;
        std::size_t begin = 0;
        for (std::size_t end = pending.find('\n', old); end != pending.npos; end = pending.find('\n', begin)) {
            const std::string_view line = std::string_view(pending).substr(begin, end - begin);
            seen.add(line);
            if (visit) visit(line);
            begin = end + 1;
        }
        pending.erase(0, begin);
    }
    if (seen != mark) fail_altered(journal);
}

} // namespace evictlab::state
