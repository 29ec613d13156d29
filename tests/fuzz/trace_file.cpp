// Fuzz target: trace files, output projections and calibrations (safetensors), down to the values.
// SPDX-License-Identifier: MIT
#include "base/error.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/captured_trace.hpp"
#include "framework/capture/safetensors.hpp"
#include "tests/fuzz/target.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

void read_trace(const fs::path& file) {
    const CapturedTrace trace(file);
    for (const std::size_t layer : trace.layers()) {
        const OwnedLayer tensors = trace.load_layer(layer);
        fuzz::require(tensors.k.size() == tensors.shape.kv_heads * tensors.shape.tokens * tensors.shape.dim,
                      "a layer has the keys of its shape");
        trace.load_sensitivity(layer);
        trace.open_layer(layer);
    }
}

void read_projections(const fs::path& file) {
    const OutputProjections projections(file);
    for (std::size_t layer = 0; layer < 4; ++layer)
        if (projections.has(layer))
            fuzz::require(projections.load(layer).size() == projections.hidden(layer) * projections.input_size(layer),
                          "a projection has the values of its shape");
}

template <class Read>
void with_errors(const fs::path& file, Read read) {
    try {
        read(file);
    } catch (const Error& error) {
        fuzz::check_message(error);
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static fuzz::InputFile file;
    file.put(fuzz::text_of(data, size));
    with_errors(file.path(), read_trace);
    with_errors(file.path(), read_projections);
    with_errors(file.path(), [](const fs::path& path) { read_calibration(path); });
    return 0;
}
