// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "base/error.hpp"
#include "base/text/suggestion.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::columns {

std::vector<ColumnInfo> describe_all(); // written by the build: one entry for each file of sources/

namespace {

constexpr std::size_t longest_name = 120; // bounds how often a derived column may be of a derived one
constexpr std::size_t most_columns = std::numeric_limits<ColumnId>::max();

enum class Hold : std::uint8_t { for_a_while, for_ever };

struct Interned {
    std::string name;
    const ColumnInfo* info = nullptr; // null where the id is free
    std::string arguments;
    std::optional<ColumnId> base; // which the entry holds
    std::size_t holders = 0;
    bool for_ever = false;
};

struct Table {
    std::mutex mutex;
    std::deque<Interned> entries; // never moves an entry, so that references stay good
    std::map<std::string, ColumnId, std::less<>> ids;
    std::vector<ColumnId> free;

    /// These want the mutex locked.
    std::optional<ColumnId> held(std::string_view full_name, Hold hold);
    ColumnId make(Interned entry);
    void release(ColumnId id);
};

std::optional<ColumnId> Table::held(std::string_view full_name, Hold hold) {
    const auto at = ids.find(full_name);
    if (at == ids.end()) return std::nullopt;
    if (hold == Hold::for_a_while)
        ++entries[at->second].holders;
    else
        for (auto id = std::optional(at->second); id; id = entries[*id].base) entries[*id].for_ever = true;
    return at->second;
}

ColumnId Table::make(Interned entry) {
    if (free.empty() && entries.size() >= most_columns) // no fault of who asks: not an Error, which may be theirs
        throw std::length_error(fmt::format("more than {} different columns at once", most_columns));
    if (free.empty()) {
        entries.emplace_back();
        free.push_back(static_cast<ColumnId>(entries.size() - 1));
    }
    const ColumnId id = free.back();
    ids.emplace(entry.name, id);
    entries[id] = std::move(entry);
    free.pop_back();
    return id;
}

void Table::release(ColumnId id) {
    for (auto next = std::optional(id); next;) {
        Interned& entry = entries[*next];
        if (--entry.holders > 0 || entry.for_ever) return;
        ids.erase(entry.name);
        free.push_back(*next);
        next = std::exchange(entry, Interned{}).base;
    }
}

Table& table() {
    static Table& instance = *new Table; // lists may be let go of while the process ends
    return instance;
}

const ColumnInfo* find(std::string_view base_name) {
    const auto& infos = all();
    const auto at = std::ranges::find(infos, base_name, &ColumnInfo::name);
    return at == infos.end() ? nullptr : &*at;
}

const Interned& entry(ColumnId id) {
    Table& t = table();
    const std::lock_guard lock(t.mutex);
    const Interned& found = t.entries.at(id);
    if (!found.info) throw std::logic_error(fmt::format("column {} is used after it was let go", id));
    return found;
}

/// The name taken apart and checked; its base is held by it.
Interned described(std::string_view full_name, Hold hold);

ColumnId hold_name(std::string_view full_name, Hold hold) {
    Table& t = table();
    {
        const std::lock_guard lock(t.mutex);
        if (const auto id = t.held(full_name, hold)) return *id;
    }
    Interned entry = described(full_name, hold);
    const std::lock_guard lock(t.mutex);
    if (const auto id = t.held(full_name, hold)) { // another thread came first
        if (entry.base && hold == Hold::for_a_while) t.release(*entry.base);
        return *id;
    }
    return t.make(std::move(entry));
}

[[noreturn]] void refuse_unknown(std::string_view full_name) {
    std::vector<std::string> names;
    for (const ColumnInfo& info : all()) names.emplace_back(info.name);
    const std::string* const meant = text::probably_meant(full_name.substr(0, full_name.find(':')), names);
    throw UsageError(fmt::format("unknown column '{}'{}; known columns: {}", full_name,
                                 meant ? fmt::format("; did you mean '{}'?", *meant) : "", known_names()));
}

Interned described(std::string_view full_name, Hold hold) {
    if (full_name.size() > longest_name)
        throw UsageError(
            fmt::format("the column name '{}...' is longer than {} characters", full_name.substr(0, 40), longest_name));
    const auto colon = full_name.find(':');
    const ColumnInfo* info = find(full_name.substr(0, colon));
    if (!info) refuse_unknown(full_name);
    Interned entry;
    entry.name = full_name;
    entry.info = info;
    entry.arguments = colon == std::string_view::npos ? std::string_view{} : full_name.substr(colon + 1);
    entry.holders = hold == Hold::for_a_while ? 1 : 0;
    entry.for_ever = hold == Hold::for_ever;
    if (!info->derive) {
        info->make(entry.arguments, 1); // refuses bad arguments here, where the name is at hand
        return entry;
    }
    if (entry.arguments.empty())
        throw UsageError(fmt::format("column '{}' wants another column, as in {}:recent_attn", full_name, full_name));
    entry.base = hold_name(entry.arguments, hold);
    return entry;
}

} // namespace

const std::vector<ColumnInfo>& all() {
    static const std::vector<ColumnInfo> infos = [] {
        auto list = describe_all();
        std::ranges::sort(list, {}, &ColumnInfo::name);
        return list;
    }();
    return infos;
}

ColumnId intern(std::string_view full_name) { return hold_name(full_name, Hold::for_ever); }

std::size_t held_names() {
    Table& t = table();
    const std::lock_guard lock(t.mutex);
    return t.ids.size();
}

bool known(std::string_view full_name) { return find(full_name.substr(0, full_name.find(':'))) != nullptr; }

const std::string& name(ColumnId id) { return entry(id).name; }

ColumnKind kind(ColumnId id) { return entry(id).info->kind; }

const ColumnInfo& info(ColumnId id) { return *entry(id).info; }

std::optional<ColumnId> base(ColumnId id) { return entry(id).base; }

ColumnNeeds needs(ColumnId id) {
    const Interned& column = entry(id);
    if (column.base) return needs(*column.base);
    return column.info->needs_with ? column.info->needs_with(column.arguments) : column.info->needs;
}

std::size_t history(ColumnId id) {
    const Interned& column = entry(id);
    if (column.base) return history(*column.base);
    return column.info->history ? column.info->history(column.arguments) : all_history;
}

std::size_t queries(ColumnId id) {
    const Interned& column = entry(id);
    if (column.base) return queries(*column.base);
    switch (column.info->queries) {
    case ColumnQueries::none:
        return 0;
    case ColumnQueries::all:
        return all_history;
    case ColumnQueries::history:
        break;
    }
    return history(id);
}

std::string absent(ColumnId id, const Calibration& calibration) {
    const Interned& column = entry(id);
    if (column.base) return absent(*column.base, calibration);
    return column.info->absent ? column.info->absent(column.arguments, calibration) : "";
}

std::unique_ptr<ColumnState> make(ColumnId id, std::size_t tokens) {
    const Interned& column = entry(id);
    return column.info->make(column.arguments, tokens);
}

const std::vector<ColumnId>& of_the_seed() {
    static const std::vector<ColumnId> ids = [] {
        std::vector<ColumnId> list;
        for (const char* seed : {"attn_entropy", "cumulative_attn", "is_sink", "key_norm", "layer_idx", "layer_ratio",
                                 "num_layers", "position", "recent_attn", "relative_pos", "sequence_len", "token_type"})
            list.push_back(intern(seed));
        return list;
    }();
    return ids;
}

std::string known_names() {
    std::vector<std::string_view> names;
    for (const ColumnInfo& info : all()) names.push_back(info.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace evictlab::columns

namespace evictlab {

void ColumnList::add(std::string_view full_name) {
    const ColumnId id = columns::hold_name(full_name, columns::Hold::for_a_while);
    holds_.push_back(std::shared_ptr<const void>(nullptr, [id](const void*) {
        columns::Table& t = columns::table();
        const std::lock_guard lock(t.mutex);
        t.release(id);
    }));
    ids_.push_back(id);
}

} // namespace evictlab
