// Workers that wait for more to do.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "isolation/layers.hpp"
#include "isolation/row_memory.hpp"
#include "isolation/worker_process.hpp"

namespace evictlab::isolation {

/// Thread-safe. Of the workers in it only a few are kept, those that were used last.
class WorkerPool {
public:
    explicit WorkerPool(Settings settings);
    const Settings& settings() const { return settings_; }
    const std::shared_ptr<RowStore>& rows() const { return rows_; }
    /// A new process, in which nothing is loaded; it will be asked for `library`, or nothing where that is null. Where
    /// no process can be started, others make room. Throws SpawnError, Error.
    std::unique_ptr<WorkerProcess> make(const SealedLibrary* library = nullptr);
    /// Ends the workers that wait for more to do, and those with too many threads; whether there were any.
    bool make_room();
    bool end_hogs(bool scarce) { return census_.end_hogs(scarce); } ///< as Census has it
    bool memory_ran_out() { return census_.memory_ran_out(); }      ///< likewise
    /// One that was put in under the key, or null.
    std::unique_ptr<WorkerProcess> take(const std::string& key);
    /// What holds a worker that has loaded a plugin, for missing().
    void note_layers(std::uint32_t layers) { layers_ = layers; }
    /// The layers that this machine, user or build does not give (layers.hpp); none before a first worker has told.
    std::uint32_t missing() const { return all_layers & ~layers_.load(); }
    void put(const std::string& key, std::unique_ptr<WorkerProcess> worker);

private:
    struct Idle {
        std::string key;
        std::unique_ptr<WorkerProcess> worker;
    };
    std::atomic<std::uint32_t> layers_ = all_layers;
    Settings settings_;
    Census census_;
    Spawner spawner_;
    std::shared_ptr<RowStore> rows_ = std::make_shared<RowStore>();
    std::size_t most_idle_;
    std::mutex mutex_;
    std::list<Idle> idle_; ///< the latest first
};

} // namespace evictlab::isolation
