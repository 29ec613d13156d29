// The plugins as the C interface holds them. SPDX-License-Identifier: MIT
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "framework/layer/calibration.hpp"
#include "framework/plugin/host.hpp"

struct evl_lab {
    explicit evl_lab(std::span<const std::filesystem::path> plugin_dirs);

    std::mutex mutex; ///< of host: opening a scorer by its path loads a plugin
    evictlab::PluginHost host;
    std::vector<std::string> problems, scorers;
    std::shared_ptr<const evictlab::Calibration> calibration; ///< null where none was given

    void list_scorers(); ///< those that can be opened
};
