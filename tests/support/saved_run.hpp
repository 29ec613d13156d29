// A made-up run whose generations are a function of their number.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "state/store.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

inline state::Json made_up_content(int generation) {
    state::Json content;
    content["generation"] = generation;
    content["champion"] = "recent_attn^" + std::to_string(generation);
    content["errors"] = {0.1 * generation, 1.0 / (generation + 3), -0.0, 1e-300};
    content["counters"] = {{"evaluations", std::uint64_t{1} << 60}, {"duplicates", 0}};
    return content;
}

/// Generation g has g % 4 lines, so that there are empty ones.
inline std::vector<std::string> made_up_lines(int generation) {
    std::vector<std::string> lines;
    for (int slot = 0; slot < generation % 4; ++slot)
        lines.push_back(R"({"id":"g)" + std::to_string(generation) + "-s" + std::to_string(slot) + "\"}");
    return lines;
}

inline void save_generation(state::RunStore& store, int generation) {
    store.save(made_up_content(generation), made_up_lines(generation));
}

/// A run of that many generations, closed.
inline void make_run(const std::filesystem::path& file, int generations) {
    auto store = state::RunStore::create(file);
    for (int generation = 1; generation <= generations; ++generation) save_generation(store, generation);
}

inline std::vector<std::string> journal_of(const std::filesystem::path& file) {
    std::vector<std::string> lines;
    state::read_journal(file, [&](const state::Json& line) { lines.push_back(line.dump()); });
    return lines;
}

inline std::vector<std::string> made_up_journal(int generations) {
    std::vector<std::string> all;
    for (int generation = 1; generation <= generations; ++generation)
        for (std::string& line : made_up_lines(generation)) all.push_back(std::move(line));
    return all;
}

} // namespace evictlab::test
