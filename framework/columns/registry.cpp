// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "framework/columns/column.hpp"
#include "framework/error.hpp"

namespace evictlab::columns {

std::vector<ColumnInfo> describe_all(); // written by the build: one entry for each file of sources/

namespace {

struct Interned {
    std::string name;
    const ColumnInfo* info = nullptr;
    std::string arguments;
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
    const auto colon = full_name.find(':');
    const ColumnInfo* info = find(full_name.substr(0, colon));
    if (!info) throw UsageError(fmt::format("unknown column '{}'; known columns: {}", full_name, known_names()));
    std::string arguments(colon == std::string_view::npos ? std::string_view{} : full_name.substr(colon + 1));
    info->make(arguments, 1); // refuses bad arguments here, where the name is at hand
    const std::lock_guard lock(t.mutex);
    const auto [at, is_new] = t.ids.try_emplace(std::string(full_name), static_cast<ColumnId>(t.entries.size()));
    if (is_new) t.entries.push_back({std::string(full_name), info, std::move(arguments)});
    return at->second;
}

bool known(std::string_view full_name) { return find(full_name.substr(0, full_name.find(':'))) != nullptr; }

const std::string& name(ColumnId id) { return entry(id).name; }

ColumnKind kind(ColumnId id) { return entry(id).info->kind; }

std::unique_ptr<ColumnState> make(ColumnId id, std::size_t seq_len) {
    const Interned& column = entry(id);
    return column.info->make(column.arguments, seq_len);
}

std::string known_names() {
    std::vector<std::string_view> names;
    for (const ColumnInfo& info : all()) names.push_back(info.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace evictlab::columns
