// What people type behind evictlab-llama. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/program/experiment.hpp"

namespace evictlab::engine {

struct Options {
    std::filesystem::path model, prompt;
    bool serve = false;
    std::string suite;       ///< with serve: a captured suite, or a manifest
    std::size_t workers = 1; ///< with serve
    std::optional<std::filesystem::path> calibration;
    std::vector<std::string> scorers; ///< lists
    std::vector<std::filesystem::path> plugin_folders;
    std::optional<std::filesystem::path> json;
    std::size_t tokens = 0;       ///< of the file that are read; 0: all
    std::size_t continuation = 0; ///< the last so many of these are what the model is held to
    Plan plan;
};

/// Nothing where help was asked for, which was printed. Throws UsageError.
std::optional<Options> options_from(const std::vector<std::string>& arguments);

} // namespace evictlab::engine
