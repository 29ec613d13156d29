// The one seam between a run's files and the operating system: every call that touches the disk goes through a FileOps,
// so that a test can make any of them fail, fall short or be interrupted. Nothing here decides; see files.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <filesystem>
#include <sys/stat.h>
#include <sys/types.h>

namespace evictlab::state {

/// As the system calls of the same names: -1 and errno where they fail, EINTR and short counts included. The base class
/// is the system itself, for any thread; override what shall fail. Must outlive every store that was given it.
class FileOps {
public:
    using Path = std::filesystem::path;
    virtual ~FileOps() = default;

    virtual int open(const Path& path, int flags); ///< new files for all that the umask lets; closed on exec
    virtual int close(int descriptor);
    virtual ssize_t read(int descriptor, void* bytes, std::size_t size);
    virtual ssize_t write(int descriptor, const void* bytes, std::size_t size);
    virtual int fsync(int descriptor); ///< of a file or a folder
    virtual int ftruncate(int descriptor, off_t size);
    virtual int lock(int descriptor);        ///< exclusive, without waiting: EWOULDBLOCK where another holds it
    virtual int lock_shared(int descriptor); ///< as lock(), but others may hold it so, too
    virtual int status(int descriptor, struct stat& result);
    virtual int status(const Path& path, struct stat& result); ///< of a link: its own
    virtual int writable(const Path& folder);                  ///< 0 where files may be made in it
    virtual int rename(const Path& from, const Path& to);
    virtual int link(const Path& from, const Path& to);
    virtual int remove(const Path& path);
};

FileOps& system_file_ops();

} // namespace evictlab::state
