// Pages of the documentation, as tests read them. SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace evictlab::test {

/// The Markdown pages of the repository: those on top, all in docs/, and that of speed/.
std::vector<std::filesystem::path> pages();

/// A fenced block that a reader types: ```sh.
struct ShellBlock {
    std::size_t line; ///< of its first command, from 1
    std::string text;
    bool typed; ///< false where `<!-- not run: WHY -->` stands on the line before it
};

std::vector<ShellBlock> shell_blocks(const std::string& markdown);

/// Lines that read as commands and stand in another kind of block, or in one without a language.
std::vector<std::string> commands_outside_of_shell_blocks(const std::string& markdown);

/// What stands between single backticks outside of blocks and begins with `word` and a space.
std::vector<std::string> code_spans(const std::string& markdown, const std::string& word);

} // namespace evictlab::test
