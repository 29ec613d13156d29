// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <mutex>

#include "framework/columns/column.hpp"
#include "framework/error.hpp"

namespace evictlab::columns {

std::vector<ColumnInfo> describe_all(); // written by the build: one entry for each file of sources/

namespace {

constexpr std::size_t longest_name = 120; // bounds how often a derived column may be of a derived one
constexpr std::size_t most_columns = std::numeric_limits<ColumnId>::max();

struct Interned {
    std::string name;
    const ColumnInfo* info = nullptr;
    std::string arguments;
    std::optional<ColumnId> base;
};

struct Table {
    std::mutex mutex;
    std::deque<Interned> entries; // never moves an entry, so that references stay good
    std::map<std::string, ColumnId, std::less<>> ids;
};

Table& table() {
    static Table instance;
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
    return t.entries.at(id);
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

ColumnId intern(std::string_view full_name) {
    Table& t = table();
    {
        const std::lock_guard lock(t.mutex);
        if (const auto at = t.ids.find(full_name); at != t.ids.end()) return at->second;
    }
    if (full_name.size() > longest_name)
        throw UsageError(
            fmt::format("the column name '{}...' is longer than {} characters", full_name.substr(0, 40), longest_name));
    const auto colon = full_name.find(':');
    const ColumnInfo* info = find(full_name.substr(0, colon));
    if (!info) throw UsageError(fmt::format("unknown column '{}'; known columns: {}", full_name, known_names()));
    std::string arguments(colon == std::string_view::npos ? std::string_view{} : full_name.substr(colon + 1));
    std::optional<ColumnId> base;
    if (info->derive) {
        if (arguments.empty())
            throw UsageError(
                fmt::format("column '{}' wants another column, as in {}:recent_attn", full_name, full_name));
        base = intern(arguments);
    } else {
        info->make(arguments, 1); // refuses bad arguments here, where the name is at hand
    }
    const std::lock_guard lock(t.mutex);
    if (t.entries.size() >= most_columns) throw UsageError(fmt::format("more than {} different columns", most_columns));
    const auto [at, is_new] = t.ids.try_emplace(std::string(full_name), static_cast<ColumnId>(t.entries.size()));
    if (is_new) t.entries.push_back({std::string(full_name), info, std::move(arguments), base});
    return at->second;
}

bool known(std::string_view full_name) { return find(full_name.substr(0, full_name.find(':'))) != nullptr; }

const std::string& name(ColumnId id) { return entry(id).name; }

ColumnKind kind(ColumnId id) { return entry(id).info->kind; }

const ColumnInfo& info(ColumnId id) { return *entry(id).info; }

std::optional<ColumnId> base(ColumnId id) { return entry(id).base; }

ColumnNeeds needs(ColumnId id) {
    const Interned& column = entry(id);
    return column.base ? needs(*column.base) : column.info->needs;
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
