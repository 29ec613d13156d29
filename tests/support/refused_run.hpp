// A saved run to spoil, and what the store says about it.
// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <map>
#include <string>
#include <sys/mount.h>

#include "tests/support/catch.hpp"
#include "tests/support/saved_run.hpp"

namespace evictlab::test {

inline std::string refusal(const std::function<void()>& step) {
    try {
        step();
    } catch (const state::StateError& error) {
        return error.what();
    }
    return "(not refused)";
}

inline std::string refused_resume(const std::filesystem::path& file) {
    return refusal([&] { state::RunStore::resume(file); });
}

inline std::string refused_save(state::RunStore& store, int generation) {
    return refusal([&] { save_generation(store, generation); });
}

/// Every file but the lock, with its bytes.
inline std::map<std::filesystem::path, std::string> files_in(const std::filesystem::path& folder) {
    std::map<std::filesystem::path, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() != ".lock") files[entry.path()] = bytes_of(entry.path());
    return files;
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

/// A saved run of three generations.
struct SavedRun {
    TemporaryFolder folder;
    std::filesystem::path file = folder / "evolution.json";
    std::filesystem::path previous = folder / "evolution.json.previous";
    std::filesystem::path journal = folder / "evolution.json.journal";
    std::filesystem::path lock = folder / "evolution.json.lock";

    SavedRun() { make_run(file, 3); }
    /// The resume is refused, changes nothing, and gives this message.
    std::string refused() const {
        const auto before = files_in(folder.path);
        std::string message = refused_resume(file);
        CHECK(files_in(folder.path) == before);
        return message;
    }
};

/// A file system of its own, of so many kB; not every machine lets a test mount one.
struct SmallDisk {
    TemporaryFolder folder;
    bool mounted;

    explicit SmallDisk(int kilobytes = 64)
        : mounted(::mount("tmpfs", folder.path.c_str(), "tmpfs", 0,
                          ("size=" + std::to_string(kilobytes) + "k").c_str()) == 0) {}
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (mounted) ::umount2(folder.path.c_str(), MNT_DETACH);
    }
};

} // namespace evictlab::test
