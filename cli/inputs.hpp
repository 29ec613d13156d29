// The files that a command reads, so that nothing it writes takes the place of one of them.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "framework/plugin/host.hpp"

namespace evictlab::cli {

class Inputs {
public:
    void add(const std::filesystem::path& file);
    void add_run(const std::filesystem::path& state_file); ///< and all that a run keeps beside it
    void add_suite(std::string_view name);                 ///< the files of a captured one; nothing for another
    void add_scorers(std::string_view text);               ///< the libraries and formula files that it names
    void add_plugins(const PluginHost& host);
    /// Throws UsageError naming both where `output`, given by `option`, is one of them: by the same path or another
    /// one, through a link, or as another name of the same file.
    void check_output(std::string_view option, const std::filesystem::path& output) const;

private:
    std::vector<std::filesystem::path> files_;
};

} // namespace evictlab::cli
