// SPDX-License-Identifier: MIT
#include "isolation/worker_pool.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace evictlab::isolation {
namespace {

constexpr int most_attempts = 20; // to start a process once others have ended for it

} // namespace

WorkerPool::WorkerPool(Settings settings)
    : settings_(std::move(settings)), spawner_(settings_),
      most_idle_(std::size_t{2} * std::max(2u, std::thread::hardware_concurrency())) {}

std::unique_ptr<WorkerProcess> WorkerPool::make(const SealedLibrary* library) {
    for (int attempt = 1;; ++attempt) {
        try {
            return std::make_unique<WorkerProcess>(settings_, spawner_, census_, rows_->memory(), library);
        } catch (const SpawnError&) {
            if (attempt == most_attempts || (attempt == 1 && !make_room())) throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(20)); // what was killed takes a moment to be gone
        }
    }
}

bool WorkerPool::make_room() {
    std::list<Idle> gone;
    {
        const std::lock_guard lock(mutex_);
        gone.swap(idle_);
    }
    const bool had_hogs = census_.end_hogs(true);
    return had_hogs || !gone.empty();
}

std::unique_ptr<WorkerProcess> WorkerPool::take(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find(idle_, key, &Idle::key);
    if (at == idle_.end()) return nullptr;
    auto worker = std::move(at->worker);
    idle_.erase(at);
    return worker;
}

void WorkerPool::put(const std::string& key, std::unique_ptr<WorkerProcess> worker) {
    std::list<Idle> gone; // ends behind the lock: killing and reaping take their time
    const std::lock_guard lock(mutex_);
    idle_.push_front({key, std::move(worker)});
    if (idle_.size() > most_idle_) gone.splice(gone.begin(), idle_, std::prev(idle_.end()));
}

} // namespace evictlab::isolation
