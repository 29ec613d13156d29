// SPDX-License-Identifier: MIT
#include "state/file_ops.hpp"

#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace evictlab::state {

int FileOps::open(const Path& path, int flags) { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }
int FileOps::close(int descriptor) { return ::close(descriptor); }
ssize_t FileOps::read(int descriptor, void* bytes, std::size_t size) { return ::read(descriptor, bytes, size); }
ssize_t FileOps::write(int descriptor, const void* bytes, std::size_t size) { return ::write(descriptor, bytes, size); }
int FileOps::fsync(int descriptor) { return ::fsync(descriptor); }
int FileOps::ftruncate(int descriptor, off_t size) { return ::ftruncate(descriptor, size); }
int FileOps::lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB); }
int FileOps::lock_shared(int descriptor) { return ::flock(descriptor, LOCK_SH | LOCK_NB); }
int FileOps::status(int descriptor, struct stat& result) { return ::fstat(descriptor, &result); }
int FileOps::status(const Path& path, struct stat& result) { return ::lstat(path.c_str(), &result); }
int FileOps::writable(const Path& folder) { return ::access(folder.c_str(), W_OK | X_OK); }
int FileOps::rename(const Path& from, const Path& to) { return ::rename(from.c_str(), to.c_str()); }
int FileOps::link(const Path& from, const Path& to) { return ::link(from.c_str(), to.c_str()); }
int FileOps::remove(const Path& path) { return ::unlink(path.c_str()); }

FileOps& system_file_ops() {
    static FileOps system;
    return system;
}

} // namespace evictlab::state
