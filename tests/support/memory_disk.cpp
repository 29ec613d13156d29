// SPDX-License-Identifier: MIT
#include "tests/support/memory_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace evictlab::test {
namespace {

int failed(int error) {
    errno = error;
    return -1;
}

} // namespace

MemoryDisk::ContentPtr MemoryDisk::make(const Path& path) {
    auto content = std::make_shared<Content>();
    content->number = next_number_++;
    rename_to({path, content, {}});
    return content;
}

void MemoryDisk::put(const Path& path, std::string bytes) {
    auto content = std::make_shared<Content>();
    content->number = next_number_++;
    content->bytes = content->flushed = std::move(bytes);
    names_[path] = flushed_names_[path] = std::move(content);
}

bool MemoryDisk::changes() {
    if (changes_left_ > 0) {
        --changes_left_;
        return true;
    }
    changes_left_ = -1;
    errno = EIO;
    return false;
}

void MemoryDisk::apply(Names& names, const NameChange& change) {
    if (change.content)
        names[change.path] = change.content;
    else
        names.erase(change.path);
    if (!change.also_removed.empty()) names.erase(change.also_removed);
}

void MemoryDisk::rename_to(NameChange change) {
    apply(names_, change);
    pending_.push_back(std::move(change));
}

int MemoryDisk::open(const Path& path, int flags) {
    if (path == folder) {
        open_[next_file_] = {};
        return next_file_++;
    }
    ContentPtr content;
    if (const auto found = names_.find(path); found != names_.end()) {
        content = found->second;
        if (flags & O_TRUNC) {
            if (!changes()) return -1;
            content->bytes.clear();
        }
    } else {
        if (!(flags & O_CREAT)) return failed(ENOENT);
        if (!changes()) return -1;
        content = make(path);
    }
    open_[next_file_] = {content, 0, (flags & O_APPEND) != 0};
    return next_file_++;
}

int MemoryDisk::close(int file) { return open_.erase(file) == 1 ? 0 : failed(EBADF); }

ssize_t MemoryDisk::read(int file, void* bytes, std::size_t size) {
    Open& open = open_.at(file);
    const std::string& content = open.content->bytes;
    const std::size_t count = std::min(size, content.size() - std::min(open.at, content.size()));
    std::memcpy(bytes, content.data() + open.at, count);
    open.at += count;
    return static_cast<ssize_t>(count);
}

ssize_t MemoryDisk::write(int file, const void* bytes, std::size_t size) {
    if (!changes()) return -1;
    Open& open = open_.at(file);
    std::string& content = open.content->bytes;
    if (open.appends) open.at = content.size();
    content.resize(std::max(content.size(), open.at + size));
    std::memcpy(content.data() + open.at, bytes, size);
    open.at += size;
    return static_cast<ssize_t>(size);
}

int MemoryDisk::fsync(int file) {
    if (!changes()) return -1;
    const Open& open = open_.at(file);
    if (open.content) {
        open.content->flushed = open.content->bytes;
    } else {
        flushed_names_ = names_;
        pending_.clear();
    }
    return 0;
}

int MemoryDisk::ftruncate(int file, off_t size) {
    if (!changes()) return -1;
    open_.at(file).content->bytes.resize(static_cast<std::size_t>(size));
    return 0;
}

int MemoryDisk::status(int file, struct stat& result) {
    result = {};
    const Open& open = open_.at(file);
    result.st_mode = open.content ? S_IFREG : S_IFDIR;
    if (!open.content) return 0;
    result.st_ino = open.content->number;
    result.st_size = static_cast<off_t>(open.content->bytes.size());
    return 0;
}

int MemoryDisk::status(const Path& path, struct stat& result) {
    result = {};
    result.st_mode = S_IFDIR;
    if (path == folder) return 0;
    const auto found = names_.find(path);
    if (found == names_.end()) return failed(ENOENT);
    result.st_mode = S_IFREG;
    result.st_ino = found->second->number;
    result.st_size = static_cast<off_t>(found->second->bytes.size());
    return 0;
}

int MemoryDisk::rename(const Path& from, const Path& to) {
    const auto found = names_.find(from);
    if (found == names_.end()) return failed(ENOENT);
    if (!changes()) return -1;
    rename_to({to, found->second, from});
    return 0;
}

int MemoryDisk::link(const Path& from, const Path& to) {
    const auto found = names_.find(from);
    if (found == names_.end()) return failed(ENOENT);
    if (names_.contains(to)) return failed(EEXIST);
    if (!changes()) return -1;
    rename_to({to, found->second, {}});
    return 0;
}

int MemoryDisk::remove(const Path& path) {
    if (!names_.contains(path)) return failed(ENOENT);
    if (!changes()) return -1;
    rename_to({path, nullptr, {}});
    return 0;
}

MemoryDisk MemoryDisk::after_power_cut(std::size_t names, Unflushed bytes) const {
    Names left = flushed_names_;
    for (std::size_t i = 0; i < names; ++i) apply(left, pending_[i]);
    MemoryDisk disk;
    std::map<const Content*, ContentPtr> copies; // names of one file stay names of one file
    for (const auto& [path, content] : left) {
        ContentPtr& copy = copies[content.get()];
        if (!copy) {
            copy = std::make_shared<Content>(*content);
            const std::string &now = content->bytes, &flushed = content->flushed;
            if (bytes == Unflushed::nothing) copy->bytes = flushed;
            if (bytes == Unflushed::half && now.size() > flushed.size())
                copy->bytes.resize(flushed.size() + (now.size() - flushed.size()) / 2);
            copy->flushed = copy->bytes;
        }
        disk.names_[path] = disk.flushed_names_[path] = copy;
    }
    disk.next_number_ = next_number_;
    return disk;
}

} // namespace evictlab::test
