// The plugins as the C interface holds them. SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "framework/layer/calibration.hpp"
#include "framework/plugin/host.hpp"

struct evl_lab {
    explicit evl_lab(std::span<const std::filesystem::path> plugin_dirs);

    std::mutex mutex; ///< of host, where opening a scorer by its path loads a plugin, and of calibration
    evictlab::PluginHost host;
    std::vector<std::string> problems;
    std::shared_ptr<const evictlab::Calibration> calibration; ///< null where none was given
    /// Of all scorers, those that can be opened: the latest of `lists`, which are kept, as callers hold their texts.
    std::atomic<const std::vector<std::string>*> scorers{nullptr};

    void list_scorers(); ///< with the mutex locked

private:
    std::list<std::vector<std::string>> lists;
};
