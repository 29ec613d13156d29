// What evictlab-llama found, for people and as JSON (evictlab-llama/1, docs/llama.md). SPDX-License-Identifier: MIT
#pragma once
#include <span>
#include <string>

#include "base/json/json.hpp"
#include "engine/program/experiment.hpp"
#include "engine/program/options.hpp"

namespace evictlab::engine {

struct Result {
    const Options& options;
    const Model& model;
    std::size_t prompt = 0; ///< tokens
    const Full& full;
    std::span<const Evicted> rows;
};

std::string to_text(const Result& result);
Json to_json(const Result& result);

} // namespace evictlab::engine
