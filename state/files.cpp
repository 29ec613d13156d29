// SPDX-License-Identifier: MIT
#include "state/files.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <utility>

namespace evictlab::state {
namespace fs = std::filesystem;

RunPaths paths_of(const fs::path& file) {
    RunPaths paths;
    std::error_code ignored;
    const bool is_link = fs::is_symlink(fs::symlink_status(file, ignored));
    const fs::path target = is_link ? fs::canonical(file, ignored) : file;
    paths.file = target.empty() ? file : target;
    const auto beside = [&](const char* suffix) { return fs::path(paths.file) += suffix; };
    paths.previous = beside(".previous");
    paths.older = beside(".previous.tmp");
    paths.temporary = beside(".tmp");
    paths.journal = beside(".journal");
    paths.lock = beside(".lock");
    paths.folder = paths.file.has_parent_path() ? paths.file.parent_path() : fs::path(".");
    if (fs::is_symlink(fs::symlink_status(paths.folder, ignored)))
        if (const fs::path real = fs::canonical(paths.folder, ignored); !real.empty()) paths.folder = real;
    return paths;
}

void fail(std::string_view step, const fs::path& path, int error) {
    throw std::system_error(error, std::generic_category(), fmt::format("cannot {} '{}'", step, path.string()));
}

File::File(FileOps& ops, fs::path path, int flags) : ops_(&ops), path_(std::move(path)), descriptor_(-1) {
    do {
        descriptor_ = ops_->open(path_, flags | O_NOFOLLOW | O_NONBLOCK);
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) fail("open", path_, errno);
}

File::File(File&& other) noexcept
    : ops_(other.ops_), path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
    if (descriptor_ >= 0) ops_->close(descriptor_);
}

struct stat File::status() const {
    struct stat result {};
    if (ops_->status(descriptor_, result) != 0) fail("look at", path_, errno);
    return result;
}

std::size_t File::read(char* bytes, std::size_t size) const {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t count = ops_->read(descriptor_, bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("read", path_, errno);
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

void File::write(std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = ops_->write(descriptor_, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("write", path_, errno);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void File::cut(std::uint64_t size) const {
    while (ops_->ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
        if (errno != EINTR) fail("cut", path_, errno);
}

void File::flush() const {
    while (ops_->fsync(descriptor_) != 0)
        if (errno != EINTR) fail("flush", path_, errno);
}

void File::close() {
    // Linux frees the descriptor whatever close() says, so it is never closed twice.
    if (ops_->close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close", path_, errno);
}

std::optional<struct stat> status_of(FileOps& ops, const fs::path& path) {
    struct stat result {};
    if (ops.status(path, result) == 0) return result;
    if (errno != ENOENT && errno != ENOTDIR) fail("look at", path, errno);
    return std::nullopt;
}

std::string read_whole(FileOps& ops, const fs::path& path, std::uint64_t limit) {
    File file(ops, path, O_RDONLY);
    const struct stat status = file.status();
    if (!S_ISREG(status.st_mode))
        throw StateError(fmt::format("'{}' is {}, not a state file: name a file, as in '{}'.", path.string(),
                                     S_ISDIR(status.st_mode) ? "a folder" : "no regular file",
                                     (path / "evolution.json").string()));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > limit)
        throw StateError(
            fmt::format("'{}' is {} bytes long, more than the {} that a state file may have: it is not one "
                        "that evictlab wrote.",
                        path.string(), size, limit));
    std::string bytes(size, '\0');
    bytes.resize(file.read(bytes.data(), bytes.size()));
    return bytes;
}

void write_new(FileOps& ops, const fs::path& path, std::string_view bytes) {
    File file(ops, path, O_WRONLY | O_CREAT | O_EXCL);
    try {
        file.write(bytes);
        file.flush();
        file.close();
    } catch (const std::system_error&) {
        ops.remove(path);
        throw;
    }
}

void flush_folder(FileOps& ops, const fs::path& folder) {
    const File file(ops, folder, O_RDONLY | O_DIRECTORY);
    try {
        file.flush();
    } catch (const std::system_error& error) {
        // Some file systems have no such thing; there a rename is as durable as it gets.
        if (error.code().value() != EINVAL && error.code().value() != ENOTSUP) throw;
    }
}

Advice advice(int error) {
    using Way = StateError::Way;
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return {"Free space on that disk (or raise the quota or file size limit), then resume the run.", Way::resume};
    case EROFS:
    case EACCES:
    case EPERM:
        return {"Get the right to read and write in that folder, or name a state file in another one.", Way::none};
    case ENOENT:
    case ENOTDIR:
    case ESTALE:
        return {"The folder or the file is not there (any more): put it back, or make the folder first.", Way::none};
    case ENOLCK:
    case ENOSYS:
    case EOPNOTSUPP:
        return {"That file system cannot do this, which a run needs: keep the run in a folder on another one.",
                Way::none};
    case EIO:
        return {"The disk reports an error: copy the run's files to another one and resume the run there.",
                Way::resume};
    default:
        return {"Remove the cause, then resume the run.", Way::resume};
    }
}

} // namespace evictlab::state
