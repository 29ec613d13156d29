// SPDX-License-Identifier: MIT
#include "isolation/worker/landlock.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace evictlab::isolation {
namespace {

namespace fs = std::filesystem;

// As in <linux/landlock.h>, of which distributions have versions that lack what newer kernels can.
constexpr long create_ruleset = 444, add_rule = 445, restrict_self = 446;
constexpr unsigned version_only = 1, path_beneath = 1;
constexpr std::uint64_t execute = 1U << 0, read_file = 1U << 2, read_folder = 1U << 3;
constexpr std::uint64_t rights_of_first_version = (1U << 13) - 1;
constexpr std::uint64_t refer = 1U << 13, truncate_file = 1U << 14, ioctl_device = 1U << 15;
constexpr std::uint64_t bind_tcp = 1U << 0, connect_tcp = 1U << 1;
constexpr std::uint64_t abstract_sockets = 1U << 0, signals = 1U << 1;

struct Handled {
    std::uint64_t files, networks, scopes;
};
struct [[gnu::packed]] Beneath {
    std::uint64_t allowed;
    std::int32_t folder;
};

class Ruleset {
public:
    Ruleset() {
        const long version = ::syscall(create_ruleset, nullptr, 0, version_only);
        if (version < 1) return;
        Handled handled{rights_of_first_version, 0, 0};
        if (version >= 2) handled.files |= refer;
        if (version >= 3) handled.files |= truncate_file;
        if (version >= 4) handled.networks = bind_tcp | connect_tcp;
        if (version >= 5) handled.files |= ioctl_device;
        if (version >= 6) handled.scopes = abstract_sockets | signals;
        const std::size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
        descriptor_ = static_cast<int>(::syscall(create_ruleset, &handled, size, 0));
    }
    Ruleset(const Ruleset&) = delete;
    Ruleset& operator=(const Ruleset&) = delete;
    ~Ruleset() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    /// What is not there needs no rule.
    void allow(const fs::path& path) const {
        const int opened = descriptor_ < 0 ? -1 : ::open(path.c_str(), O_PATH | O_CLOEXEC);
        if (opened < 0) return;
        struct stat status {};
        if (::fstat(opened, &status) == 0) {
            const std::uint64_t of_files = read_file | execute;
            const Beneath rule{S_ISDIR(status.st_mode) ? of_files | read_folder : of_files, opened};
            (void)::syscall(add_rule, descriptor_, path_beneath, &rule, 0);
        }
        ::close(opened);
    }
    bool enforce() const {
        return descriptor_ >= 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               ::syscall(restrict_self, descriptor_, 0) == 0;
    }

private:
    int descriptor_ = -1;
};

/// Not the folder itself: it may be somebody's home.
void allow_libraries_in(const Ruleset& rules, const fs::path& folder) {
    constexpr int most = 2000;
    int count = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder.empty() ? fs::path(".") : folder, error))
        if (entry.path().filename().string().find(".so") != std::string::npos && entry.is_regular_file(error) &&
            ++count <= most)
            rules.allow(entry.path());
}

void allow_libraries_of_loader(const Ruleset& rules) {
    const char* const folders = std::getenv("LD_LIBRARY_PATH"); // NOLINT(concurrency-mt-unsafe): one thread yet
    for (std::string_view rest = folders ? folders : ""; !rest.empty();) {
        const std::size_t end = std::min(rest.find_first_of(":;"), rest.size());
        allow_libraries_in(rules, rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
}

} // namespace

bool close_files(const SealedLibrary& plugin) {
    const Ruleset rules;
    for (const char* const path :
         {"/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/localtime",
          "/etc/locale.alias", "/proc", "/sys/devices/system", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"})
        rules.allow(path);
    rules.allow(plugin.file());
    allow_libraries_in(rules, plugin.file().parent_path());
    for (const std::string& folder : plugin.search_path()) allow_libraries_in(rules, folder);
    allow_libraries_of_loader(rules);
    return rules.enforce();
}

} // namespace evictlab::isolation
