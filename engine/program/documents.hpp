// The documents that a judge is asked about: tokens of a captured suite, or the texts of a manifest.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "engine/model.hpp"

namespace evictlab::engine {

struct Document {
    std::string name, kind, split;
    std::vector<llama_token> tokens;
    std::size_t prompt = 0; ///< tokens; the others are the continuation
};

struct DocumentSet {
    std::string suite, hash; ///< as evictlab-verdict has them
    std::vector<Document> documents;
};

/// Of texts: how many of a document's first tokens are used, and as what.
struct TextSizes {
    std::size_t prompt = 1024, continuation = 128;
};

/// Those of the splits train and valid, for a search must not see the others. `input` is a captured suite, by folder or
/// name, or a manifest (evictlab-documents/1, a file that ends in .json). Throws Error with file and field; where the
/// suite is of other weights than the model's file, whose SHA-256 is given; where there is no such document.
DocumentSet documents_to_search_by(const std::string& input, const Model& model, const std::string& sha256,
                                   const TextSizes& sizes);

} // namespace evictlab::engine
