// A plugin's file as workers run it: which of them has which scorer, and what is known of scorers that broke.
// SPDX-License-Identifier: MIT
#pragma once
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "framework/plugin/descriptor.hpp"
#include "isolation/worker_pool.hpp"

namespace evictlab::isolation {

/// One rule of the library with one set of values.
struct ScorerKey {
    std::uint32_t rule = 0;
    std::vector<double> values;
    std::string text; ///< the same for equal scorers of one file
};

/// Thread-safe.
class IsolatedLibrary {
public:
    /// Loads the file in a worker. Throws PluginError (phase "load").
    IsolatedLibrary(const std::filesystem::path& file, std::shared_ptr<WorkerPool> pool);

    const std::filesystem::path& file() const { return file_; }
    std::vector<Descriptor> descriptors() const { return descriptors_; }
    const std::shared_ptr<RowStore>& rows() const { return pool_->rows(); }
    const std::string& place() const { return place_; } ///< where its code runs and what holds it there, in words
    ScorerKey key(std::uint32_t rule, std::span<const double> values) const;

    /// A worker with an instance of the scorer. Throws PluginError, Interrupted.
    std::unique_ptr<WorkerProcess> worker_with_instance(const ScorerKey& key);
    /// Ends the instance and keeps the worker for another of the same scorer. Throws PluginError (phase "destroy").
    void end_instance(const ScorerKey& key, std::unique_ptr<WorkerProcess> worker);

    /// Throws what the answer says is wrong, and remembers a death.
    void check(const ScorerKey& key, const Answer& answer);
    /// Throws PluginError where the file is not what it was when it was loaded.
    void check_unchanged(std::string_view phase);

private:
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        timespec modified{}, changed{};
        bool operator==(const Stamp& other) const;
    };
    std::optional<Stamp> stamp() const;
    std::unique_ptr<WorkerProcess> loaded_worker();
    std::string load(WorkerProcess& worker) const;
    std::string label() const;

    std::filesystem::path file_;
    std::shared_ptr<WorkerPool> pool_;
    std::string sha256_, json_, place_;
    std::vector<Descriptor> descriptors_;
    std::mutex mutex_;
    std::optional<Stamp> stamp_;
    std::map<std::string, PluginError> broken_; ///< by ScorerKey::text
};

/// Puts a request's values or text behind it. Throws Error where they are too many.
void write_behind_request(WorkerProcess& worker, const void* data, std::size_t bytes);

} // namespace evictlab::isolation
