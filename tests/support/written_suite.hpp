// A captured suite of made-up traces in a folder of its own.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "framework/capture/captured_suite.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/trace_writer.hpp"

namespace evictlab::test {

struct WrittenSuite {
    TemporaryFolder folder;
    Suite suite;

    WrittenSuite(const std::vector<TraceShape>& traces, std::size_t hidden)
        : suite((write_suite(folder.path, traces, hidden), open_captured_suite(folder.path))) {}
    const CapturedTrace& trace(std::size_t i = 0) const { return *suite.search_traces().train[i]->captured(); }
};

/// A trace for each split, each a document of its own.
inline std::vector<TraceShape> traces_like(TraceShape shape, const std::vector<const char*>& splits) {
    std::vector<TraceShape> list;
    for (std::uint32_t seed = 1; seed <= splits.size(); ++seed) {
        shape.split = splits[seed - 1];
        shape.document = "document " + std::to_string(seed);
        shape.seed = seed;
        list.push_back(shape);
    }
    return list;
}

/// Two of a model's layers, of six query heads over two KV heads.
inline std::vector<TraceShape> small_traces(const std::vector<const char*>& splits) {
    TraceShape shape;
    shape.layers = {0, 3};
    shape.tokens = 61;
    shape.prompt = 49;
    shape.dim = 10;
    shape.query_heads = 6;
    shape.kv_heads = 2;
    return traces_like(shape, splits);
}

} // namespace evictlab::test
