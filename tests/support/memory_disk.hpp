// A disk in memory, of one folder, that can lose its power: what was flushed is there afterwards, what was not may or
// may not be, as POSIX has it. SPDX-License-Identifier: MIT
#pragma once
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "state/file_ops.hpp"

namespace evictlab::test {

/// Not thread-safe.
class MemoryDisk : public state::FileOps {
public:
    /// How much of what was written to a file and not flushed is on the disk after the power cut.
    enum class Unflushed { nothing, half, everything };
    static constexpr const char* folder = "/memory-disk";

    MemoryDisk() = default;
    MemoryDisk(MemoryDisk&&) = default;
    MemoryDisk& operator=(MemoryDisk&&) = default;

    /// A file that is on the disk for good.
    void put(const Path& path, std::string bytes);
    bool has(const Path& path) const { return names_.contains(path); }
    const std::string& bytes(const Path& path) const { return names_.at(path)->bytes; }

    /// The power goes after so many more calls that change something; later ones fail and change nothing.
    void cut_power_after(int changes) { changes_left_ = changes; }
    bool has_power() const { return changes_left_ >= 0; }
    /// Renames, links, removals and new names since the folder was flushed.
    std::size_t unflushed_names() const { return pending_.size(); }
    /// The disk after the power came back: with the first so many changes of names that were not flushed.
    MemoryDisk after_power_cut(std::size_t names, Unflushed bytes) const;

    int open(const Path& path, int flags) override;
    int close(int file) override;
    ssize_t read(int file, void* bytes, std::size_t size) override;
    ssize_t write(int file, const void* bytes, std::size_t size) override;
    int fsync(int file) override;
    int ftruncate(int file, off_t size) override;
    int lock(int) override { return 0; }
    int lock_shared(int) override { return 0; }
    int status(int file, struct stat& result) override;
    int status(const Path& path, struct stat& result) override;
    int writable(const Path&) override { return 0; }
    int rename(const Path& from, const Path& to) override;
    int link(const Path& from, const Path& to) override;
    int remove(const Path& path) override;

private:
    struct Content {
        std::string bytes, flushed;
        ino_t number = 0;
    };
    using ContentPtr = std::shared_ptr<Content>;
    using Names = std::map<Path, ContentPtr>;
    struct Open {
        ContentPtr content; ///< null: the folder
        std::size_t at = 0;
        bool appends = false;
    };
    struct NameChange { ///< a null content removes; a rename is two that happen at once
        Path path;
        ContentPtr content;
        Path also_removed;
    };

    bool changes();
    static void apply(Names& names, const NameChange& change);
    void rename_to(NameChange change);
    ContentPtr make(const Path& path);

    Names names_, flushed_names_;
    std::vector<NameChange> pending_;
    std::map<int, Open> open_;
    int next_file_ = 1000;
    ino_t next_number_ = 1;
    int changes_left_ = std::numeric_limits<int>::max();
};

} // namespace evictlab::test
