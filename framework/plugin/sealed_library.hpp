// A library's bytes as they were when they were first looked at, in memory that nobody can write to any more: whoever
// rebuilds, moves, cuts or removes the file later changes nothing of what is loaded.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace evictlab {

/// A sealed memfd. Immutable; thread-safe.
class SealedLibrary {
public:
    /// Reads the file. Throws Error: no such file, not a file, cannot be read, somebody is writing to it, too large.
    explicit SealedLibrary(const std::filesystem::path& file);
    /// What another process sealed, by its descriptor, which stays the caller's. `file`: what messages call it.
    SealedLibrary(int descriptor, std::filesystem::path file);
    SealedLibrary(const SealedLibrary&) = delete;
    SealedLibrary& operator=(const SealedLibrary&) = delete;
    ~SealedLibrary();

    const std::filesystem::path& file() const { return file_; } ///< absolute
    const std::string& sha256() const;                          ///< of the file's bytes, computed when first asked for
    /// Why it cannot be a whole shared library of this machine, or "" where nothing speaks against it.
    std::string defect() const;

    /// The folders in which it looks for others, as the sealed bytes name them.
    std::vector<std::string> search_path() const;

    /// At least 10, and closed in children that exec.
    int descriptor() const { return descriptor_; }
    /// Of the folder that the file lies in, where the library looks for others by its own place ($ORIGIN), else -1. The
    /// sealed bytes have `./././.` in the place of $ORIGIN, for a loader knows no place of what has no name: they are
    /// for a process whose working directory is this folder.
    int folder() const { return folder_; }

    /// Not where a limit on the size of files leaves no room for a copy: then the descriptor is that of the file.
    bool is_sealed() const { return sealed_; }

private:
    std::string read() const;
    bool seal(std::string_view bytes);
    void keep_the_file();
    std::filesystem::path file_;
    int descriptor_ = -1, folder_ = -1;
    bool owned_ = true, sealed_ = true;
    mutable std::once_flag hashed_;
    mutable std::string sha256_;
};

} // namespace evictlab
