// SPDX-License-Identifier: MIT
#include "state/exchange_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <utility>

#include "state/document.hpp"
#include "state/files.hpp"
#include "text/shown.hpp"

namespace evictlab::state {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view header = R"({"format":"evictlab-exchanges/1"})";
constexpr std::uint64_t bytes_limit = std::uint64_t{1} << 30;

void check_header(std::string_view line, const std::string& name) {
    if (line == header) return;
    throw StateError(fmt::format("{} is no journal of exchanges that this evictlab can read: it begins with '{}' "
                                 "instead of '{}'. Move it away, or go on with the evictlab that wrote it.",
                                 name, text::line(line, 80), header));
}

/// Throws StateError for anything but {"key": text, "answer": ...}.
std::pair<std::string, Json> parsed(std::string_view line, const std::string& where) {
    Json json = parse_checked(line, where);
    const auto key = json.find("key");
    const auto answer = json.find("answer");
    if (key == json.end() || !key->is_string() || answer == json.end())
        throw StateError(where + " is damaged: it has no key and answer.");
    return {key->get<std::string>(), std::move(*answer)};
}

} // namespace

ExchangeJournal ExchangeJournal::create(const fs::path& file, FileOps& ops) {
    ExchangeJournal journal(file, ops);
    explained(fmt::format("'{}' cannot be made anew", file.string()), [&] {
        if (status_of(ops, file) && ops.remove(file) != 0) fail("remove", file, errno);
    });
    return journal;
}

ExchangeJournal ExchangeJournal::resume(const fs::path& file, FileOps& ops) {
    ExchangeJournal journal(file, ops);
    explained(fmt::format("'{}' cannot be used", file.string()), [&] {
        if (status_of(ops, file)) journal.load(read_whole(ops, file, bytes_limit));
    });
    return journal;
}

void ExchangeJournal::load(std::string_view text) {
    const std::string name = fmt::format("'{}'", file_.string());
    std::size_t end = text.find('\n');
    if (end == text.npos) { // killed within the first line, or a file of somebody else
        if (!header.starts_with(text)) check_header(text, name);
        return;
    }
    check_header(text.substr(0, end), name);
    bytes_ = end + 1;
    for (std::size_t number = 2; (end = text.find('\n', bytes_)) != text.npos; ++number) {
        try {
            auto [key, answer] = parsed(text.substr(bytes_, end - bytes_), fmt::format("{}, line {},", name, number));
            answers_.insert_or_assign(std::move(key), std::move(answer));
        } catch (const StateError&) {
            // Each line is on the disk before the next is written, so only the last can be a power cut's.
            if (end + 1 == text.size()) return;
            throw;
        }
        bytes_ = end + 1;
    }
}

const Json* ExchangeJournal::find(std::string_view key) const {
    const auto found = answers_.find(std::string(key));
    return found == answers_.end() ? nullptr : &found->second;
}

void ExchangeJournal::remember(const std::string& key, Json answer) {
    Json line;
    line["key"] = key;
    line["answer"] = std::move(answer);
    append(line.dump());
    answers_.insert_or_assign(key, std::move(line["answer"]));
}

void ExchangeJournal::append(std::string line) {
    line += '\n';
    if (bytes_ == 0) line.insert(0, std::string(header) + '\n');
    explained(fmt::format("an answer cannot be kept in '{}'", file_.string()), [&] {
        // Made with the first line only: a journal that vanished must not be replaced by its last lines.
        File file(*ops_, file_, O_WRONLY | O_APPEND | (bytes_ == 0 ? O_CREAT : 0));
        const auto size = static_cast<std::uint64_t>(file.status().st_size);
        if (size < bytes_)
            throw StateError(fmt::format("'{}' is {} bytes long, shorter than the {} that were written: its end was "
                                         "lost. Remove the cause and go on with --resume.",
                                         file_.string(), size, bytes_));
        if (size > bytes_) file.cut(bytes_);
        file.write(line);
        file.flush();
        file.close();
        if (bytes_ == 0) flush_folder(*ops_, file_.has_parent_path() ? file_.parent_path() : fs::path("."));
    });
    bytes_ += line.size();
}

} // namespace evictlab::state
