// SPDX-License-Identifier: MIT
#include "tests/support/trace_writer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "base/digest/digest.hpp"
#include "tests/support/saved_run.hpp"

namespace evictlab::test {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
void append(std::string& bytes, T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Sign, exponent and mantissa of a small float type by their definition.
std::uint16_t encode16(double value, int mantissa_bits, int exponent_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const auto special = static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
    if (std::isnan(value)) return static_cast<std::uint16_t>(special | 1);
    if (std::isinf(value)) return sign | special;
    int exponent = 0;
    std::frexp(value, &exponent); // |value| in [2^(exponent - 1), 2^exponent)
    const int e = std::max(exponent - 1, 1 - bias);
    auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(std::fabs(value), mantissa_bits - e)));
    const std::uint32_t hidden = 1u << mantissa_bits;
    if (units < hidden) return sign | static_cast<std::uint16_t>(units); // subnormal
    units += static_cast<std::uint32_t>(e + bias - 1) << mantissa_bits;  // the hidden bit adds one to the exponent
    return sign | static_cast<std::uint16_t>(units);
}

double decode16(std::uint16_t bits, int mantissa_bits, int exponent_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (bits & 0x7fff) >> mantissa_bits;
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return mantissa ? std::nan("") : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

class Draw {
public:
    explicit Draw(std::uint32_t seed) : generator_(seed) {}
    double uniform(double low, double high) {
        return low + (high - low) * static_cast<double>(generator_()) / 4294967296.0;
    }
    std::vector<double> values(std::size_t n, double low, double high) {
        std::vector<double> out(n);
        for (double& value : out) value = uniform(low, high);
        return out;
    }

private:
    std::mt19937 generator_;
};

/// A tensor [heads][tokens][dim] in the trace's type, with its scale where that is I8.
void add_stored(MadeUpTrace& trace, const TraceShape& shape, const std::string& name, std::size_t heads, Draw& draw) {
    const std::size_t rows = heads * shape.tokens, dim = shape.dim;
    std::vector<double> values = draw.values(rows * dim, -2, 2);
    if (shape.type != "I8") {
        const Stored all = stored(shape.type, values);
        trace.file.add(name, {heads, shape.tokens, dim}, all);
        trace.values[name] = all.values;
        return;
    }
    const Stored scales = stored("F16", draw.values(rows, 0.005, 0.02));
    Stored integers{"I8", {}, {}};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto integer = static_cast<std::int8_t>(std::lround(draw.uniform(-127.4, 127.4)));
        append(integers.bytes, integer);
        values[i] = static_cast<double>(static_cast<float>(scales.values[i / dim]) * static_cast<float>(integer));
    }
    trace.file.add(name, {heads, shape.tokens, dim}, integers);
    trace.file.add(name + ".scale", {heads, shape.tokens}, scales);
    trace.values[name] = values;
}

void add_layer(MadeUpTrace& trace, const TraceShape& shape, std::size_t layer, Draw& draw) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    add_stored(trace, shape, prefix + "q", shape.query_heads, draw);
    add_stored(trace, shape, prefix + "k", shape.kv_heads, draw);
    add_stored(trace, shape, prefix + "v", shape.kv_heads, draw);
    const Stored rope = stored("F32", draw.values(shape.dim / 2, 0, 1));
    trace.file.add(prefix + "rope_inv_freq", {shape.dim / 2}, rope);
    trace.values[prefix + "rope_inv_freq"] = rope.values;
    const Stored norms = stored("F32", draw.values(shape.query_heads * shape.tokens, 0, 3));
    trace.file.add(prefix + "wov_l1", {shape.query_heads, shape.tokens}, norms);
    trace.values[prefix + "wov_l1"] = norms.values;
    if (shape.probes == 0) return;
    const std::size_t judged = shape.tokens - shape.prompt, width = shape.query_heads * shape.dim;
    const Stored sensitivity = stored("F16", draw.values(shape.probes * judged * width, -0.3, 0.3));
    trace.file.add(prefix + "sensitivity", {shape.probes, judged, width}, sensitivity);
    trace.values[prefix + "sensitivity"] = sensitivity.values;
}

std::string joined(const std::vector<std::size_t>& numbers) {
    std::string text;
    for (const std::size_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
    return text;
}

} // namespace

Stored stored(const std::string& type, const std::vector<double>& values) {
    Stored out{type, {}, {}};
    for (const double value : values) {
        if (type == "F32") {
            append(out.bytes, static_cast<float>(value));
            out.values.push_back(static_cast<float>(value));
        } else if (type == "F16" || type == "BF16") {
            const int mantissa = type == "F16" ? 10 : 7;
            const std::uint16_t bits = encode16(value, mantissa, 15 - mantissa);
            append(out.bytes, bits);
            out.values.push_back(decode16(bits, mantissa, 15 - mantissa));
        } else {
            throw std::invalid_argument(type);
        }
    }
    return out;
}

void TensorFile::add(const std::string& name, std::vector<std::size_t> shape, const Stored& values) {
    tensors.push_back({name, values.type, std::move(shape), values.bytes});
}

WrittenTensor& TensorFile::at(const std::string& name) {
    for (WrittenTensor& tensor : tensors)
        if (tensor.name == name) return tensor;
    throw std::invalid_argument(name);
}

void TensorFile::remove(const std::string& name) {
    std::erase_if(tensors, [&name](const WrittenTensor& tensor) { return tensor.name == name; });
}

std::string TensorFile::header() const {
    Json json;
    json["__metadata__"] = metadata;
    std::size_t begin = 0;
    for (const WrittenTensor& tensor : tensors) {
        json[tensor.name] = {
            {"dtype", tensor.type}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + tensor.bytes.size()}}};
        begin += tensor.bytes.size();
    }
    return json.dump();
}

std::string TensorFile::bytes() const {
    std::string data;
    for (const WrittenTensor& tensor : tensors) data += tensor.bytes;
    return safetensors_bytes(header(), data);
}

std::string safetensors_bytes(const std::string& header, const std::string& data) {
    std::string bytes;
    append(bytes, std::uint64_t{header.size()});
    return bytes + header + data;
}

MadeUpTrace made_up_trace(const TraceShape& shape) {
    MadeUpTrace trace;
    trace.file.metadata = {{"format", "evictlab-trace/1"},
                           {"model", shape.model},
                           {"weights", "made up by a test"},
                           {"num_layers", std::to_string(shape.num_layers)},
                           {"layers", joined(shape.layers)},
                           {"prompt_len", std::to_string(shape.prompt)},
                           {"softmax_scale", "0.4"},
                           {"sliding_window", joined(shape.windows)},
                           {"document", shape.document},
                           {"split", shape.split},
                           {"kind", shape.kind},
                           {"text_source", "nowhere"},
                           {"licence", "MIT"},
                           {"captured_by", "a test"}};
    Draw draw(shape.seed);
    for (const std::size_t layer : shape.layers) add_layer(trace, shape, layer, draw);
    Stored ids{"I32", {}, {}}, types{"U8", {}, {}};
    for (std::size_t i = 0; i < shape.tokens; ++i) {
        append(ids.bytes, static_cast<std::int32_t>(draw.uniform(0, 49152)));
        append(types.bytes, static_cast<std::uint8_t>(i % 4));
    }
    trace.file.add("token_ids", {shape.tokens}, ids);
    trace.file.add("token_type", {shape.tokens}, types);
    return trace;
}

void write_suite(const std::filesystem::path& folder, const std::vector<TraceShape>& traces, std::size_t hidden) {
    Json json{{"format", "evictlab-suite/1"},
              {"name", folder.filename().string()},
              {"model", traces.at(0).model},
              {"weights", "made up by a test"},
              {"licence", "MIT"},
              {"files", Json::array()}};
    TensorFile model;
    for (std::size_t i = 0; i < traces.size(); ++i) {
        const TraceShape& shape = traces[i];
        const std::string file = std::to_string(i) + ".safetensors";
        put(folder / file, made_up_trace(shape).file.bytes());
        json["files"].push_back(
            {{"file", file}, {"split", shape.split}, {"document", shape.document}, {"kind", shape.kind}});
        for (const std::size_t layer : shape.layers) {
            const std::string name = "layers." + std::to_string(layer) + ".o_proj";
            model.remove(name);
            const std::size_t width = shape.query_heads * shape.dim;
            Draw draw(static_cast<std::uint32_t>(layer));
            model.add(name, {hidden, width}, stored("F16", draw.values(hidden * width, -1, 1)));
        }
    }
    if (hidden > 0) {
        put(folder / "model.safetensors", model.bytes());
        json["model_file"] = {{"file", "model.safetensors"}};
    }
    put(folder / "suite.json", json.dump(1));
    rehash_suite(folder);
}

void rehash_suite(const std::filesystem::path& folder) {
    Json json = Json::parse(bytes_of(folder / "suite.json"));
    const auto hash = [&folder](Json& file) {
        file["sha256"] = sha256_hex(bytes_of(folder / file.at("file").get<std::string>()));
    };
    for (Json& file : json["files"]) hash(file);
    if (json.contains("model_file")) hash(json["model_file"]);
    put(folder / "suite.json", json.dump(1));
}

} // namespace evictlab::test
