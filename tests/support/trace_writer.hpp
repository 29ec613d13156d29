// Small captured traces and suites made up by a test, and safetensors files that are wrong on purpose.
// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace evictlab::test {

/// Values as a type stores them: the bytes, and what the bytes mean.
struct Stored {
    std::string type, bytes;
    std::vector<double> values;
};
/// F32, F16 or BF16, rounded to the nearest; any finite value, infinity or NaN.
Stored stored(const std::string& type, const std::vector<double>& values);

struct WrittenTensor {
    std::string name, type;
    std::vector<std::size_t> shape;
    std::string bytes;
};

/// A safetensors file in the making.
struct TensorFile {
    std::map<std::string, std::string> metadata;
    std::vector<WrittenTensor> tensors; ///< in the order of their data

    void add(const std::string& name, std::vector<std::size_t> shape, const Stored& values);
    WrittenTensor& at(const std::string& name);
    void remove(const std::string& name);
    std::string header() const; ///< JSON
    std::string bytes() const;
};
/// The 8 bytes of length, the header, the data.
std::string safetensors_bytes(const std::string& header, const std::string& data);

/// What a made-up trace is like. Values are drawn from the seed.
struct TraceShape {
    std::vector<std::size_t> layers{1, 4};
    std::vector<std::size_t> windows{0, 0};
    std::size_t num_layers = 6, query_heads = 4, kv_heads = 2, tokens = 24, prompt = 16, dim = 6;
    std::string type = "F32"; ///< of q, k, v: F32, F16, BF16 or I8
    std::string model = "made-up", document = "a document", split = "train", kind = "prose";
    std::uint32_t seed = 1;
    std::size_t probes = 0; ///< of the sensitivity; 0: none
};

struct MadeUpTrace {
    TensorFile file;
    std::map<std::string, std::vector<double>> values; ///< by tensor, of q, k, v, wov_l1 and rope_inv_freq
};
MadeUpTrace made_up_trace(const TraceShape& shape = {});

/// suite.json, the traces as N.safetensors and, where `hidden` is above 0, model.safetensors with output projections.
void write_suite(const std::filesystem::path& folder, const std::vector<TraceShape>& traces, std::size_t hidden = 8);
/// Writes suite.json anew with the hashes of the files as they are now.
void rehash_suite(const std::filesystem::path& folder);

} // namespace evictlab::test
