// SHA-256 by OpenSSL's libcrypto: content hashes of suites, plugins and state files.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace evictlab {

/// Lower-case hexadecimal SHA-256 of the bytes.
std::string sha256_hex(std::string_view bytes);

/// The same of a file's content, read in blocks; nothing where it is no file or cannot be read. Throws input::Stopped.
std::optional<std::string> sha256_hex_of_file(const std::filesystem::path& path);

} // namespace evictlab
