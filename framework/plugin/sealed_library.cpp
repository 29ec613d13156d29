// SPDX-License-Identifier: MIT
#include "framework/plugin/sealed_library.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/digest/digest.hpp"
#include "base/error.hpp"
#include "framework/plugin/library_file.hpp"

namespace evictlab {

namespace fs = std::filesystem;

namespace {

constexpr int lowest_descriptor = 10; // those below are what processes are started with
constexpr off_t largest = off_t{1} << 30;
constexpr std::size_t longest_name = 200; // of a memfd
constexpr int most_readings = 100;        // of a file that changes while it is read

[[noreturn]] void fail(std::string_view what) { throw Error(fmt::format("{}: {}", what, std::strerror(errno))); }

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    int number() const { return number_; }
    int moved_up() const { return ::fcntl(number_, F_DUPFD_CLOEXEC, lowest_descriptor); }

private:
    int number_;
};

bool same(const struct stat& a, const struct stat& b) {
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

std::string bytes_of(int file) {
    std::string bytes;
    std::string piece(std::size_t{1} << 16, '\0');
    for (off_t at = 0;;) {
        const ssize_t count = ::pread(file, piece.data(), piece.size(), at);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("cannot be read");
        if (count == 0) return bytes;
        at += count;
        if (at > largest) throw Error(fmt::format("the library has more than {} bytes", largest));
        bytes.append(piece, 0, static_cast<std::size_t>(count));
    }
}

/// A file mapped for reading, as long as this lives.
class Mapping {
public:
    explicit Mapping(int descriptor) {
        struct stat status {};
        if (::fstat(descriptor, &status) != 0) fail("fstat");
        size_ = static_cast<std::size_t>(status.st_size);
        if (size_ == 0) return;
        data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data_ == MAP_FAILED) fail("mmap");
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (size_ > 0) ::munmap(data_, size_);
    }
    std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace

SealedLibrary::SealedLibrary(const fs::path& file) : file_(fs::absolute(file).lexically_normal()) {
    std::string bytes = read();
    if (library_file_defect(bytes).empty() && names_its_place(bytes)) {
        std::call_once(hashed_, [&] { sha256_ = sha256_hex(bytes); });
        const Descriptor folder(::open(file_.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        folder_ = folder.moved_up();
        if (folder_ < 0) fail("its folder cannot be opened");
        put_working_directory_for_place(bytes);
    }
    if (seal(bytes)) return;
    std::call_once(hashed_, [&] { sha256_ = sha256_hex(bytes); });
    keep_the_file();
}

SealedLibrary::SealedLibrary(int descriptor, fs::path file)
    : file_(std::move(file)), descriptor_(descriptor), owned_(false) {}

SealedLibrary::~SealedLibrary() {
    if (!owned_) return;
    if (descriptor_ >= 0) ::close(descriptor_);
    if (folder_ >= 0) ::close(folder_);
}

/// Whole, and not half of one build and half of the next.
std::string SealedLibrary::read() const {
    struct stat before {
    }, after{};
    if (::stat(file_.c_str(), &before) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) throw Error("no such file");
        fail("cannot be read");
    }
    if (!S_ISREG(before.st_mode)) throw Error("not a file");
    for (int reading = 0; reading < most_readings; ++reading) {
        const Descriptor opened(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (opened.number() < 0 || ::fstat(opened.number(), &before) != 0) fail("cannot be read");
        std::string bytes = bytes_of(opened.number());
        if (::fstat(opened.number(), &after) != 0) fail("cannot be read");
        if (same(before, after) && bytes.size() == static_cast<std::size_t>(after.st_size)) return bytes;
    }
    throw Error("somebody is writing to the file: start again once that is done");
}

/// Where a limit on the size of files (ulimit -f), which counts memory that has a descriptor, leaves no room for it.
void SealedLibrary::keep_the_file() {
    const Descriptor opened(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    descriptor_ = opened.moved_up();
    if (descriptor_ < 0) fail("cannot be read");
    sealed_ = false;
}

/// Whether there was room.
bool SealedLibrary::seal(std::string_view bytes) {
    const std::string name = file_.filename().string().substr(0, longest_name);
    const Descriptor made(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (made.number() < 0) fail("memory for the library: memfd_create");
    for (std::string_view rest = bytes; !rest.empty();) {
        const ssize_t count = ::write(made.number(), rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EFBIG) return false;
        if (count < 0) fail("memory for the library");
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::fcntl(made.number(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        fail("memory for the library: sealing");
    descriptor_ = made.moved_up();
    if (descriptor_ < 0) fail("memory for the library");
    return true;
}

const std::string& SealedLibrary::sha256() const {
    std::call_once(hashed_, [this] { sha256_ = sha256_hex(Mapping(descriptor_).bytes()); });
    return sha256_;
}

std::vector<std::string> SealedLibrary::search_path() const {
    const Mapping mapping(descriptor_);
    return library_file_defect(mapping.bytes()).empty() ? search_path_of(mapping.bytes()) : std::vector<std::string>{};
}

std::string SealedLibrary::defect() const { return library_file_defect(Mapping(descriptor_).bytes()); }

} // namespace evictlab
