// SPDX-License-Identifier: MIT
#include "state/answer_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include "base/digest/digest.hpp"
#include "base/text/shown.hpp"
#include "state/document.hpp"
#include "state/own_files.hpp"

namespace evictlab::state {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view header = R"({"format":"evictlab-exchanges/2"})";
constexpr std::string_view unchained_header = R"({"format":"evictlab-exchanges/1"})"; // read, and gone on with
constexpr std::string_view before_chain = R"(,"chain":")", behind_chain = R"("})";
constexpr std::size_t chain_size = 64;
constexpr std::uint64_t bytes_limit = std::uint64_t{1} << 30;

void check_header(std::string_view line, const std::string& name) {
    if (line == header || line == unchained_header) return;
    throw StateError(fmt::format("{} is no journal of exchanges that this evictlab can read: it begins with '{}' "
                                 "instead of '{}'. Move it away, or go on with the evictlab that wrote it.",
                                 name, text::line(line, 80), header));
}

/// The line without its chain, and that; nothing where it has none.
struct Chained {
    std::string_view body, chain;
};
std::optional<Chained> taken_apart(std::string_view line) {
    constexpr std::size_t size = before_chain.size() + chain_size + behind_chain.size();
    if (line.size() <= size || !line.ends_with(behind_chain)) return std::nullopt;
    const std::string_view body = line.substr(0, line.size() - size), rest = line.substr(body.size());
    if (!rest.starts_with(before_chain)) return std::nullopt;
    return Chained{body, rest.substr(before_chain.size(), chain_size)};
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

AnswerJournal AnswerJournal::create(const fs::path& file, FileOps& ops) {
    explained(fmt::format("'{}' cannot be made", file.string()), [&] {
        if (own_file_at(ops, file, Role::answers))
            throw StateError(fmt::format("'{}' holds the answers of an earlier run, and is not overwritten: move it "
                                         "away, or name another state file.",
                                         file.string()));
    });
    return AnswerJournal(file, ops);
}

AnswerJournal AnswerJournal::resume(const fs::path& file, FileOps& ops) {
    AnswerJournal journal(file, ops);
    explained(fmt::format("'{}' cannot be used", file.string()), [&] {
        if (own_file_at(ops, file, Role::answers)) journal.load(read_whole(ops, file, bytes_limit));
    });
    return journal;
}

void AnswerJournal::load(std::string_view text) {
    const std::string name = fmt::format("'{}'", file_.string());
    std::size_t end = text.find('\n');
    if (end == text.npos) { // killed within the first line, or a file of somebody else
        if (!header.starts_with(text) && !unchained_header.starts_with(text)) check_header(text, name);
        return;
    }
    const std::string_view first = text.substr(0, end);
    check_header(first, name);
    chained_ = first == header;
    bytes_ = end + 1;
    chain_ = sha256_hex(first);
    for (std::size_t number = 2; (end = text.find('\n', bytes_)) != text.npos; ++number) {
        try {
            read_line(text.substr(bytes_, end - bytes_), fmt::format("{}, line {},", name, number));
        } catch (const StateError&) {
            // Each line is on the disk before the next is written, so only the last can be a power cut's.
            if (end + 1 == text.size()) return;
            throw;
        }
        bytes_ = end + 1;
    }
}

void AnswerJournal::read_line(std::string_view line, const std::string& where) {
    const auto apart = taken_apart(line);
    if (chained_ && !apart) throw StateError(where + " is damaged: it has no checksum.");
    const std::string chain = sha256_hex(chain_ + std::string(apart ? apart->body : line));
    if (apart && apart->chain != chain)
        throw StateError(where + " is damaged, or was edited, or one before it was: its checksum is of other text.");
    auto [key, answer] = parsed(line, where);
    answers_.insert_or_assign(std::move(key), std::move(answer));
    chained_ = apart.has_value();
    chain_ = chain;
}

const Json* AnswerJournal::find(std::string_view key) const {
    const auto found = answers_.find(std::string(key));
    return found == answers_.end() ? nullptr : &found->second;
}

void AnswerJournal::remember(const std::string& key, Json answer) {
    Json line;
    line["key"] = key;
    line["answer"] = std::move(answer);
    append(line.dump());
    answers_.insert_or_assign(key, std::move(line["answer"]));
}

void AnswerJournal::append(std::string line) {
    if (bytes_ == 0) chain_ = sha256_hex(header);
    line.pop_back(); // its last brace
    const std::string chain = sha256_hex(chain_ + line);
    line.append(before_chain).append(chain).append(behind_chain) += '\n';
    if (bytes_ == 0) line.insert(0, std::string(header) + '\n');
    explained(fmt::format("an answer cannot be kept in '{}'", file_.string()), [&] {
        // Made with the first line only: a journal that vanished must not be replaced by its last lines.
        if (bytes_ == 0) own_file_at(*ops_, file_, Role::answers);
        File file(*ops_, file_, O_WRONLY | O_APPEND | (bytes_ == 0 ? O_CREAT : 0));
        const auto size = static_cast<std::uint64_t>(file.status().st_size);
        if (size < bytes_)
            throw StateError(fmt::format("'{}' is {} bytes long, shorter than the {} that were written: its end was "
                                         "lost. Remove the cause, then resume the run.",
                                         file_.string(), size, bytes_),
                             StateError::Way::resume);
        if (size > bytes_) file.cut(bytes_);
        file.write(line);
        file.flush();
        file.close();
        if (bytes_ == 0) flush_folder(*ops_, file_.has_parent_path() ? file_.parent_path() : fs::path("."));
    });
    bytes_ += line.size();
    chain_ = chain;
    chained_ = true;
}

} // namespace evictlab::state
