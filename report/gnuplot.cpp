// SPDX-License-Identifier: MIT
#include "report/gnuplot.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/process/spawn_plan.hpp"
#include "base/text/shown.hpp"

namespace evictlab::report {
namespace {

/// A file in memory. A pipe would need somebody to read while somebody writes.
class MemoryFile {
public:
    explicit MemoryFile(const std::string& content = {}) : descriptor_(::memfd_create("evictlab-plot", MFD_CLOEXEC)) {
        bool fine = descriptor_ >= 0;
        for (std::size_t done = 0; fine && done < content.size();) {
            const ssize_t written = ::write(descriptor_, content.data() + done, content.size() - done);
            fine = written > 0 || errno == EINTR;
            if (written > 0) done += static_cast<std::size_t>(written);
        }
        if (!fine) throw Error(fmt::format("cannot prepare a plot: {}", std::strerror(errno)));
        ::lseek(descriptor_, 0, SEEK_SET);
    }
    ~MemoryFile() { ::close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    int descriptor() const { return descriptor_; }
    std::string content() const {
        std::string text;
        std::array<char, 65536> part{};
        for (ssize_t got = 0;
             (got = ::pread(descriptor_, part.data(), part.size(), static_cast<off_t>(text.size()))) > 0;)
            text.append(part.data(), static_cast<std::size_t>(got));
        return text;
    }

private:
    int descriptor_;
};

} // namespace

std::optional<std::string> run_gnuplot(const std::string& script) {
    const MemoryFile in(script), out, problems;
    SpawnPlan plan;
    plan.give(in.descriptor(), STDIN_FILENO);
    plan.give(out.descriptor(), STDOUT_FILENO);
    plan.give(problems.descriptor(), STDERR_FILENO);
    // Nothing of the user's own settings (-d: no startup files): a variable can name files that gnuplot runs, and a
    // home has more of them.
    const char* const searched = std::getenv("PATH");
    std::string path = "PATH=" + std::string(searched != nullptr ? searched : "/usr/bin:/bin"),
                home = "HOME=/nonexistent", locale = "LC_ALL=C.UTF-8";
    const std::array<char*, 4> environment{path.data(), home.data(), locale.data(), nullptr};
    pid_t child = 0;
    const int error = plan.start(child, "gnuplot", {"gnuplot", "-d", "-"}, environment.data());
    if (error == ENOENT || error == EACCES) return std::nullopt;
    if (error != 0) throw Error(fmt::format("cannot start gnuplot: {}", std::strerror(error)));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) throw Error(fmt::format("lost sight of gnuplot: {}", std::strerror(errno)));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw Error(fmt::format("gnuplot failed: {}", text::sentence(problems.content(), 500)));
    return out.content();
}

} // namespace evictlab::report
