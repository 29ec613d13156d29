// Whole-file steps over FileOps: an open file, writing all bytes, replacing a file atomically, and what to tell a
// person when the system refuses. Internal to state/.
//
// A step that fails throws std::system_error naming the step and the file; the store turns it into a StateError.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "state/store.hpp"

namespace evictlab::state {

/// The names of a run's files, all in one folder.
struct RunPaths {
    std::filesystem::path file, previous, temporary, journal, lock, folder;
    std::filesystem::path older; ///< what `previous` was, while a generation is being saved
};

/// A link is followed, so that a run has the same names (and lock) however it is reached.
RunPaths paths_of(const std::filesystem::path& file);

/// An open file or folder, closed at the end of its life. For one thread. Follows no link and waits for no pipe.
class File {
public:
    File(FileOps& ops, std::filesystem::path path, int flags);
    File(File&& other) noexcept;
    File& operator=(File&&) = delete;
    ~File();

    int descriptor() const { return descriptor_; }
    struct stat status() const;
    /// Reads up to `size` bytes, fewer only at the end of the file.
    std::size_t read(char* bytes, std::size_t size) const;
    /// Writes all bytes, whatever the system takes at a time.
    void write(std::string_view bytes) const;
    void cut(std::uint64_t size) const;
    void flush() const;
    /// Some file systems report a full disk only here.
    void close();

private:
    FileOps* ops_;
    std::filesystem::path path_;
    int descriptor_;
};

[[noreturn]] void fail(std::string_view step, const std::filesystem::path& path, int error);

/// Nothing where there is no such file.
std::optional<struct stat> status_of(FileOps& ops, const std::filesystem::path& path);

/// The whole of a regular file of at most `limit` bytes; throws StateError for a folder, a device or a larger file.
std::string read_whole(FileOps& ops, const std::filesystem::path& path, std::uint64_t limit);

/// Makes a file, which must not be there, writes the bytes and flushes them to disk. Where that fails it is removed.
void write_new(FileOps& ops, const std::filesystem::path& path, std::string_view bytes);

/// Flushes a folder's list of names, so that a rename survives a power cut.
void flush_folder(FileOps& ops, const std::filesystem::path& folder);

/// What a person can do about a system error: one sentence, and how the run goes on.
struct Advice {
    std::string text;
    StateError::Way way;
};
Advice advice(int error);

/// Runs a step; where the system refuses it, a StateError says so, and what can be done.
template <typename Step>
auto explained(const std::string& doing, Step step) {
    try {
        return step();
    } catch (const std::system_error& error) {
        const Advice help = advice(error.code().value());
        throw StateError(doing + ": " + error.what() + ". " + help.text, help.way);
    }
}

} // namespace evictlab::state
