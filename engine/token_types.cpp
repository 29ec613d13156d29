// SPDX-License-Identifier: MIT
#include "engine/token_types.hpp"

#include <utf8proc.h>

namespace evictlab::engine {

std::uint8_t type_of_text(std::string_view text) {
    bool number = false;
    while (!text.empty()) {
        utf8proc_int32_t character = -1;
        const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                           static_cast<utf8proc_ssize_t>(text.size()), &character);
        if (size <= 0 || character == 0xfffd) return 0; // a piece of a character
        switch (utf8proc_category(character)) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
            return 0;
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_NO:
            number = true;
            break;
        default:
            break;
        }
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    return number ? 3 : 1;
}

std::vector<std::uint8_t> token_types(const Model& model, std::span<const llama_token> tokens) {
    const llama_vocab* vocab = llama_model_get_vocab(model.get());
    std::vector<std::uint8_t> types;
    for (const llama_token token : tokens)
        types.push_back(llama_vocab_is_control(vocab, token) || llama_vocab_is_eog(vocab, token)
                            ? 2
                            : type_of_text(model.text(token)));
    return types;
}

} // namespace evictlab::engine
