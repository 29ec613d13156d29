// SPDX-License-Identifier: MIT
#include "tests/support/faulty_files.hpp"

#include <cerrno>

namespace evictlab::test {

void FaultyFiles::stop() {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
}

bool FaultyFiles::is_now(const char* name) {
    if (calls_++ != wrong_call_) return false;
    where_ = name;
    return true;
}

template <class Call>
auto FaultyFiles::reading(const char* name, Call call) {
    using Result = decltype(call());
    if (!is_now(name) || fault_ != Fault::fails) return call();
    happened_ = true;
    errno = error_;
    return static_cast<Result>(-1);
}

template <class Call>
auto FaultyFiles::changing(const char* name, Call call) {
    using Result = decltype(call());
    if (!is_now(name)) return call();
    if (fault_ == Fault::stops_before) stop();
    if (fault_ == Fault::fails) {
        happened_ = true;
        errno = error_;
        return static_cast<Result>(-1);
    }
    const Result result = call();
    if (fault_ == Fault::stops_after) stop();
    return result;
}

ssize_t FaultyFiles::write(int file, const void* bytes, std::size_t size) {
    if (torn_) {
        torn_ = false;
        errno = error_;
        return -1;
    }
    const bool halves = calls_ == wrong_call_ && size > 1 &&
                        (fault_ == Fault::falls_short || fault_ == Fault::tears || fault_ == Fault::stops_torn);
    if (!halves) return changing("write", [&] { return FileOps::write(file, bytes, size); });
    is_now("write");
    const ssize_t written = FileOps::write(file, bytes, size / 2);
    if (fault_ == Fault::stops_torn) stop();
    happened_ = true;
    torn_ = fault_ == Fault::tears;
    return written;
}

int FaultyFiles::close(int file) {
    if (!is_now("close") || fault_ != Fault::fails) return FileOps::close(file);
    FileOps::close(file); // which frees the descriptor whatever it says
    happened_ = true;
    errno = error_;
    return -1;
}

int FaultyFiles::link(const Path& from, const Path& to) {
    if (has_links) return changing("link", [&] { return FileOps::link(from, to); });
    errno = EPERM;
    return -1;
}

int FaultyFiles::open(const Path& path, int flags) {
    return changing("open", [&] { return FileOps::open(path, flags); });
}
ssize_t FaultyFiles::read(int file, void* bytes, std::size_t size) {
    return reading("read", [&] { return FileOps::read(file, bytes, size); });
}
int FaultyFiles::fsync(int file) {
    return changing("fsync", [&] { return FileOps::fsync(file); });
}
int FaultyFiles::ftruncate(int file, off_t size) {
    return changing("ftruncate", [&] { return FileOps::ftruncate(file, size); });
}
int FaultyFiles::lock(int file) {
    return reading("lock", [&] { return FileOps::lock(file); });
}
int FaultyFiles::lock_shared(int file) {
    return reading("lock_shared", [&] { return FileOps::lock_shared(file); });
}
int FaultyFiles::status(int file, struct stat& result) {
    return reading("status", [&] { return FileOps::status(file, result); });
}
int FaultyFiles::status(const Path& path, struct stat& result) {
    return reading("status", [&] { return FileOps::status(path, result); });
}
int FaultyFiles::writable(const Path& folder) {
    return reading("writable", [&] { return FileOps::writable(folder); });
}
int FaultyFiles::rename(const Path& from, const Path& to) {
    return changing("rename", [&] { return FileOps::rename(from, to); });
}
int FaultyFiles::remove(const Path& path) {
    return changing("remove", [&] { return FileOps::remove(path); });
}

} // namespace evictlab::test
