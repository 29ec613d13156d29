// The boundary between C++ and C: exceptions become a status and a text. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string_view>

#include "framework/error.hpp"

namespace evictlab::capi {

/// One line, cut at a whole UTF-8 character.
inline evl_status fail(evl_status status, std::string_view text, evl_failure* failure) {
    if (!failure) return status;
    std::size_t size = std::min(text.size(), sizeof failure->text - 1);
    while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    std::memcpy(failure->text, text.data(), size);
    std::replace(failure->text, failure->text + size, '\n', ' ');
    failure->text[size] = '\0';
    return status;
}

template <class Action>
evl_status guarded(evl_failure* failure, Action action) noexcept {
    try {
        action();
        return EVL_OK;
    } catch (const UsageError& error) {
        return fail(EVL_USAGE, error.what(), failure);
    } catch (const std::exception& error) {
        return fail(EVL_FAILED, error.what(), failure);
    } catch (...) {
        return fail(EVL_FAILED, "an error of an unknown kind", failure);
    }
}

/// Throws UsageError for a null pointer that the header does not allow.
inline void require(const void* pointer, const char* name) {
    if (!pointer) throw UsageError(std::string(name) + " is NULL");
}

} // namespace evictlab::capi
