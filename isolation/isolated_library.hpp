// A plugin's file as workers run it: which of them has which scorer, and what is known of scorers that broke.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "framework/plugin/descriptor.hpp"
#include "framework/plugin/sealed_library.hpp"
#include "isolation/worker_pool.hpp"

namespace evictlab::isolation {

/// One rule of the library with one set of values.
struct ScorerKey {
    std::uint32_t rule = 0;
    std::vector<double> values;
    std::string text; ///< the same for equal scorers of one file
};

using Worker = std::unique_ptr<WorkerProcess>;
/// Asks what is to be known of a worker that has an instance.
using Ask = std::function<Answer(WorkerProcess&)>;

/// Thread-safe. All throw PluginError, also of Blame::outside, and Interrupted.
class IsolatedLibrary {
public:
    /// Loads the sealed bytes of the file in a worker. Throws PluginError (phase "load").
    IsolatedLibrary(const std::filesystem::path& file, std::shared_ptr<WorkerPool> pool);

    const std::shared_ptr<const SealedLibrary>& sealed() const { return sealed_; }
    std::vector<Descriptor> descriptors() const { return descriptors_; }
    const std::shared_ptr<RowStore>& rows() const { return pool_->rows(); }
    const std::string& place() const { return place_; } ///< where its code runs and what holds it there, in words
    ScorerKey key(std::uint32_t rule, std::span<const double> values) const;

    /// A worker with an instance of the scorer.
    Worker worker_with_instance(const ScorerKey& key);
    /// Ends the instance and keeps the worker for another of the same scorer.
    void end_instance(const ScorerKey& key, Worker worker);
    /// Takes what came of a request to `worker`. Where that one ended without an answer, fresh ones with an instance of
    /// the scorer are asked by `ask` instead, until one answers, which is then `worker`, or until it is known whose
    /// doing the endings are. What is wrong is thrown; a plugin's doing is remembered, and not tried again.
    void settle(const ScorerKey& key, Worker& worker, Answer answer, const Ask& ask);

    /// Whether the scorer is known to have broken: nobody needs to wait for an answer of it.
    bool is_broken(const ScorerKey& key) const;
    /// Whether its calls are asked for one by one, because several together once took long. Changes no figure.
    bool is_slow(const ScorerKey& key) const;

private:
    Answer ask_fresh(Worker& worker, const Ask& ask);
    Answer load(WorkerProcess& worker);
    Answer create(WorkerProcess& worker, const ScorerKey& key) const;
    void settle(const ScorerKey* key, Worker& worker, Answer answer, const Ask& ask);
    [[noreturn]] void fail(const ScorerKey* key, const Answer& answer);
    std::string label() const;

    std::shared_ptr<WorkerPool> pool_;
    std::shared_ptr<const SealedLibrary> sealed_;
    std::string json_, place_;
    std::vector<Descriptor> descriptors_;
    mutable std::mutex mutex_;
    std::map<std::string, PluginError> broken_; ///< by ScorerKey::text
    std::set<std::string> slow_;
};

/// Puts a request's values or text behind it. Throws Error where they are too many.
void write_behind_request(WorkerProcess& worker, const void* data, std::size_t bytes);

} // namespace evictlab::isolation
