// SPDX-License-Identifier: MIT
#include "base/digest/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <new>

#include "base/input/input.hpp"

namespace evictlab {
namespace {

std::string hexadecimal(const unsigned char* raw, unsigned int length) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * std::size_t{length});
    for (unsigned int i = 0; i < length; ++i) {
        text += digits[raw[i] >> 4];
        text += digits[raw[i] & 15];
    }
    return text;
}

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

} // namespace

std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
    unsigned int length = 0;
    EVP_Digest(bytes.data(), bytes.size(), raw.data(), &length, EVP_sha256(), nullptr);
    return hexadecimal(raw.data(), length);
}

std::optional<std::string> sha256_hex_of_file(const std::filesystem::path& path) {
    const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (!context) throw std::bad_alloc();
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    try {
        input::read_blocks(
            path, [&](std::string_view block) { EVP_DigestUpdate(context.get(), block.data(), block.size()); });
    } catch (const input::Stopped&) {
        throw;
    } catch (const input::Problem&) {
        return std::nullopt;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(context.get(), raw.data(), &length);
    return hexadecimal(raw.data(), length);
}

} // namespace evictlab
