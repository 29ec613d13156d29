// What the fuzz targets share. A target is one file here: NAME.cpp defines LLVMFuzzerTestOneInput, which reads its
// input as the program reads such a file; whatever the input, it returns, or the input is a bug. An error of ours is
// the right answer to garbage, and any other exception is a finding. SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace evictlab::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// A promise that the input broke.
inline void require(bool kept, const char* promise) {
    if (kept) return;
    std::fprintf(stderr, "broken: %s\n", promise);
    std::abort();
}

/// An error's message is for people: not empty, not endless, and no control characters that a terminal would obey.
inline void check_message(const std::exception& error) {
    const std::string_view message = error.what();
    require(!message.empty() && message.size() < 4'000, "a message is short");
    for (const char c : message)
        require(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t', "a message has no control characters");
}

/// The input as a file with a path, for what reads files: in memory, and always the same path.
class InputFile {
public:
    InputFile();
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;
    void put(std::string_view bytes);
    const std::filesystem::path& path() const { return path_; }

private:
    int file_;
    std::filesystem::path path_;
};

} // namespace evictlab::fuzz
