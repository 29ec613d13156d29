// The boundary between C++ and C: exceptions become a status and a text. SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/evictlab.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/text/shown.hpp"

namespace evictlab::capi {

/// One line of plain text, cut at a whole UTF-8 character.
inline evl_status fail(evl_status status, std::string_view what, evl_failure* failure) {
    if (!failure) return status;
    const std::string text = text::lines(what);
    std::size_t size = std::min(text.size(), sizeof failure->text - 1);
    while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    std::memcpy(failure->text, text.data(), size);
    std::replace(failure->text, failure->text + size, '\n', ' ');
    failure->text[size] = '\0';
    return status;
}

/// Where there is no memory even for a message.
inline evl_status fail_without_memory(evl_failure* failure) noexcept {
    constexpr std::string_view text = "out of memory";
    if (failure) *std::copy(text.begin(), text.end(), failure->text) = '\0';
    return EVL_FAILED;
}

template <class Action>
evl_status told(evl_failure* failure, Action action) {
    try {
        action();
        return EVL_OK;
    } catch (const UsageError& error) {
        return fail(EVL_USAGE, error.what(), failure);
    } catch (const std::bad_alloc&) {
        return fail_without_memory(failure);
    } catch (const std::exception& error) {
        return fail(EVL_FAILED, error.what(), failure);
    } catch (...) {
        return fail(EVL_FAILED, "an error of an unknown kind", failure);
    }
}

template <class Action>
evl_status guarded(evl_failure* failure, Action action) noexcept {
    try {
        return told(failure, action);
    } catch (...) { // the message itself could not be made
        return fail_without_memory(failure);
    }
}

/// Throws UsageError for a null pointer, to an object or a function, that the header does not allow.
template <class Pointer>
void require(Pointer pointer, const char* name) {
    if (!pointer) throw UsageError(std::string(name) + " is NULL");
}

/// What the caller knows of a structure, behind its size.
template <class Structure>
Structure known_part(const Structure& given, const char* name) {
    if (given.struct_size < sizeof given.struct_size)
        throw UsageError(fmt::format("{}.struct_size is {}, which is no size of it", name, given.struct_size));
    Structure known{};
    std::memcpy(&known, &given, std::min<std::size_t>(given.struct_size, sizeof known));
    return known;
}

} // namespace evictlab::capi
