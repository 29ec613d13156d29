// What a token is, as captured suites have it: 0 word, 1 punctuation or space, 2 special, 3 number.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/model.hpp"

namespace evictlab::engine {

/// A word has a letter or is a piece of a character's UTF-8; a number has a digit and no letter.
std::uint8_t type_of_text(std::string_view text);

std::vector<std::uint8_t> token_types(const Model& model, std::span<const llama_token> tokens);

} // namespace evictlab::engine
