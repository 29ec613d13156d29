// The system, but for one call of a run's files that goes wrong, in any of the ways that calls do.
// SPDX-License-Identifier: MIT
#pragma once
#include <csignal>
#include <string>
#include <unistd.h>

#include "state/file_ops.hpp"

namespace evictlab::test {

enum class Fault {
    none,
    fails,        ///< and changes nothing
    falls_short,  ///< of a write: takes half of the bytes, and says so
    tears,        ///< of a write: takes half of the bytes, and fails at the rest
    stops_before, ///< the process ends, as by SIGKILL
    stops_torn,   ///< of a write: the process ends after half of the bytes
    stops_after,
};
inline constexpr Fault all_faults[] = {Fault::fails,        Fault::falls_short, Fault::tears,
                                       Fault::stops_before, Fault::stops_torn,  Fault::stops_after};

/// Counts calls from arm() on. Reading calls can only fail: stopping there is stopping at the call that writes next.
class FaultyFiles : public state::FileOps {
public:
    void arm(int call, Fault fault, int error) {
        calls_ = 0;
        wrong_call_ = call;
        fault_ = fault;
        error_ = error;
    }
    int calls() const { return calls_; } ///< since arm()
    bool happened() const { return happened_; }
    const std::string& where() const { return where_; } ///< the call that went wrong, for messages

    int open(const Path& path, int flags) override;
    int close(int file) override;
    ssize_t read(int file, void* bytes, std::size_t size) override;
    ssize_t write(int file, const void* bytes, std::size_t size) override;
    int fsync(int file) override;
    int ftruncate(int file, off_t size) override;
    int lock(int file) override;
    int lock_shared(int file) override;
    int status(int file, struct stat& result) override;
    int status(const Path& path, struct stat& result) override;
    int writable(const Path& folder) override;
    int rename(const Path& from, const Path& to) override;
    int link(const Path& from, const Path& to) override;
    int remove(const Path& path) override;

    bool has_links = true; ///< false: a file system without hard links

private:
    template <class Call>
    auto reading(const char* name, Call call);
    template <class Call>
    auto changing(const char* name, Call call);
    bool is_now(const char* name);
    [[noreturn]] static void stop();

    int calls_ = 0, wrong_call_ = -1, error_ = 0;
    Fault fault_ = Fault::none;
    bool happened_ = false;
    bool torn_ = false; ///< the next write fails
    std::string where_;
};

} // namespace evictlab::test
