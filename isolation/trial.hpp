// Whose doing it was that a worker ended: a plugin is blamed only for what it does again in a fresh process, on its
// own. docs/reliability.md has the rule in words. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "isolation/worker_pool.hpp"

namespace evictlab::isolation {

/// Of one request. Not thread-safe.
class Trial {
public:
    enum class Ruling : std::uint8_t {
        ask_again, ///< in a fresh worker
        guilty,    ///< the plugin did it
        outside,   ///< what goes on outside hinders any answer
    };
    explicit Trial(WorkerPool& pool);
    /// Before a fresh worker is asked: sets a process beside it that runs no plugin, and so ends for none.
    void begin();
    /// Of an answer that is `dead`.
    Ruling rule(const Answer& answer);
    /// What hindered it, after `outside`.
    const std::string& hindrance() const { return hindrance_; }

private:
    bool was_hindered(const Answer& answer);
    WorkerPool& pool_;
    std::unique_ptr<WorkerProcess> witness_;
    bool witnessed_ = false;
    std::vector<std::string> deeds_; ///< endings that nothing outside explains
    int hindered_ = 0, attempts_ = 0;
    std::string hindrance_;
};

} // namespace evictlab::isolation
