// A power cut at every moment of a run, with every outcome that the disk may then have: whatever part of the names and
// bytes that were not flushed. The generations that save() returned for are there.
// SPDX-License-Identifier: MIT
#include "tests/support/catch.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/saved_run.hpp"

using namespace evictlab;
using namespace evictlab::test;
using state::RunStore;
namespace fs = std::filesystem;

namespace {

const fs::path file = fs::path(MemoryDisk::folder) / "evolution.json";
constexpr int generations = 3;

/// Goes on with the run until it has so many generations, or until the power is cut; the last one that was
/// acknowledged.
int run_on(MemoryDisk& disk) {
    int acknowledged = 0;
    try {
        auto store = disk.has(file) ? RunStore::resume(file, disk) : RunStore::create(file, disk);
        if (!store.content().is_null()) acknowledged = store.content().at("generation");
        while (acknowledged < generations) {
            save_generation(store, acknowledged + 1);
            ++acknowledged;
        }
    } catch (const state::StateError& error) {
        INFO(error.what());
        CHECK_FALSE(disk.has_power()); // nothing else is in its way
    }
    return acknowledged;
}

std::vector<std::string> journal_on(MemoryDisk& disk) {
    std::vector<std::string> lines;
    state::read_journal(
        file, [&](const state::Json& line) { lines.push_back(line.dump()); }, disk);
    return lines;
}

/// Every disk that the power cut may leave.
template <class Check>
void for_each_outcome(const MemoryDisk& cut, Check check) {
    using Unflushed = MemoryDisk::Unflushed;
    for (std::size_t names = 0; names <= cut.unflushed_names(); ++names)
        for (const Unflushed bytes : {Unflushed::nothing, Unflushed::half, Unflushed::everything}) {
            INFO("the first " << names << " of " << cut.unflushed_names() << " names, bytes "
                              << static_cast<int>(bytes));
            MemoryDisk disk = cut.after_power_cut(names, bytes);
            check(disk);
        }
}

int saved_on(MemoryDisk& disk) {
    if (!disk.has(file)) return 0;
    const RunStore store = RunStore::resume(file, disk);
    return store.content().is_null() ? 0 : store.content().at("generation").get<int>();
}

} // namespace

TEST_CASE(
    "After a power cut at any moment a run has every generation that was acknowledged and ends in the same bytes") {
    MemoryDisk undisturbed;
    REQUIRE(run_on(undisturbed) == generations);
    int cuts = 0;
    for (bool cut = true; cut; ++cuts) {
        INFO("power cut after " << cuts << " changes");
        MemoryDisk disk;
        disk.cut_power_after(cuts);
        const int acknowledged = run_on(disk);
        cut = !disk.has_power();
        for_each_outcome(disk, [&](MemoryDisk& after) {
            const int saved = saved_on(after);
            CHECK(saved >= acknowledged);
            CHECK(saved <= acknowledged + 1);
            CHECK(run_on(after) == generations);
            CHECK(after.bytes(file) == undisturbed.bytes(file));
            CHECK(journal_on(after) == made_up_journal(generations));
        });
    }
    CHECK(cuts > 30);
}

TEST_CASE("A second power cut, while the run goes on after the first, loses nothing either") {
    for (int first = 0; first < 60; first += 7)
        for (int second = 0; second < 40; second += 3) {
            INFO("power cuts after " << first << " and " << second << " changes");
            MemoryDisk disk;
            disk.cut_power_after(first);
            const int acknowledged = run_on(disk);
            MemoryDisk again = disk.after_power_cut(disk.unflushed_names() / 2, MemoryDisk::Unflushed::half);
            again.cut_power_after(second);
            const int later = std::max(acknowledged, run_on(again));
            for_each_outcome(again, [&](MemoryDisk& after) {
                CHECK(saved_on(after) >= later);
                CHECK(run_on(after) == generations);
                CHECK(journal_on(after) == made_up_journal(generations));
            });
        }
}
