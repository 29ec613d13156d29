// Reading captured traces: values of every stored type, rows of attention, and a message for every kind of damage.
// SPDX-License-Identifier: MIT
#include <cmath>
#include <functional>
#include <thread>

#include "base/error.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/safetensors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/saved_run.hpp"
#include "tests/support/trace_writer.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

/// The message of what reading the bytes throws; "" where it throws nothing.
template <class Read>
std::string message_of(const std::string& bytes, Read read) {
    const TemporaryFolder folder;
    put(folder / "t.safetensors", bytes);
    try {
        read(folder / "t.safetensors");
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

std::string tensors_message(const std::string& bytes) {
    return message_of(bytes, [](const auto& file) { SafetensorsFile{file}; });
}

std::string header_message(const std::string& header, const std::string& data = {}) {
    return tensors_message(safetensors_bytes(header, data));
}

/// Opens and loads every layer.
std::string trace_message(const std::string& bytes) {
    return message_of(bytes, [](const auto& file) {
        const CapturedTrace trace(file);
        for (const std::size_t layer : trace.layers()) trace.load_layer(layer);
    });
}

std::string changed_trace(const std::function<void(TensorFile&)>& change, const TraceShape& shape = {}) {
    TensorFile file = made_up_trace(shape).file;
    change(file);
    return trace_message(file.bytes());
}

void check_message(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) CHECK_THAT(message, ContainsSubstring(part));
    CHECK_THAT(message, ContainsSubstring("t.safetensors: "));
}

std::string tensor(const std::string& name, const std::string& fields) { return "\"" + name + "\":{" + fields + "}"; }

template <class Values>
void check_same(const Values& values, const std::vector<double>& expected) {
    REQUIRE(values.size() == expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (static_cast<double>(values[i]) == expected[i]) continue;
        INFO(i);
        REQUIRE(static_cast<double>(values[i]) == expected[i]);
    }
}

CaptureOptions with_sliding_layers() {
    CaptureOptions options;
    options.sliding_layers = true;
    return options;
}

} // namespace

TEST_CASE("Every stored type is read to the same values") {
    for (const char* type : {"F32", "F16", "BF16", "I8"}) {
        INFO(type);
        TraceShape shape;
        shape.type = type;
        const MadeUpTrace made = made_up_trace(shape);
        const TemporaryFolder folder;
        put(folder / "t.safetensors", made.file.bytes());
        const CapturedTrace trace(folder / "t.safetensors");
        REQUIRE(trace.layers().size() == 2);
        for (const std::size_t layer : trace.layers()) {
            const OwnedLayer tensors = trace.load_layer(layer);
            const std::string prefix = "layers." + std::to_string(layer) + ".";
            CHECK(tensors.shape == LayerShape{4, 2, 24, 6});
            CHECK(reinterpret_cast<std::uintptr_t>(tensors.k.data()) % 64 == 0);
            check_same(tensors.q, made.values.at(prefix + "q"));
            check_same(tensors.k, made.values.at(prefix + "k"));
            check_same(tensors.v, made.values.at(prefix + "v"));
            check_same(tensors.rope_inv_freq, made.values.at(prefix + "rope_inv_freq"));
            check_same(tensors.wov_norm, made.values.at(prefix + "wov_l1"));
            CHECK(tensors.rope_scale == 1);
            CHECK(tensors.softmax_scale == 0.4f);
        }
    }
}

TEST_CASE("Halves are read exactly: subnormal, largest, signed zero") {
    const std::vector<double> values{0.0, -0.0, 0x1p-24, -0x3ffp-24, 0x1p-14, 65504, -1, 0x1.554p-2};
    TensorFile file;
    file.add("layers.0.o_proj", {2, 4}, stored("F16", values));
    file.add("layers.7.o_proj", {4, 2}, stored("BF16", {1, -3, 0x1p-133, 0x1.fep127, 0, 0.5, 2, 4}));
    const TemporaryFolder folder;
    put(folder / "model.safetensors", file.bytes());
    const OutputProjections projections(folder / "model.safetensors");
    check_same(projections.load(0), values);
    CHECK(std::signbit(projections.load(0)[1]));
    check_same(projections.load(7), {1, -3, 0x1p-133, 0x1.fep127, 0, 0.5, 2, 4});
    CHECK(projections.hidden(7) == 4);
    CHECK(projections.input_size(7) == 2);
    CHECK(!projections.has(1));
    CHECK_THROWS_WITH(projections.load(1), ContainsSubstring("'layers.1.o_proj': is missing"));
}

TEST_CASE("A trace says what it holds") {
    TraceShape shape;
    shape.windows = {0, 8};
    TensorFile file = made_up_trace(shape).file;
    file.metadata["layers"] = "[4, 1]"; // as JSON, and not in order: windows go with their layers
    file.metadata["sliding_window"] = "[8, 0]";
    file.metadata["kind"] = "code";
    const TemporaryFolder folder;
    put(folder / "t.safetensors", file.bytes());
    const CapturedTrace trace(folder / "t.safetensors");
    CHECK(trace.name() == "a document");
    CHECK(trace.kind() == "code");
    CHECK(trace.split() == CapturedSplit::train);
    CHECK(trace.num_layers() == 6);
    CHECK(trace.heads() == 2);
    CHECK(trace.seq_len() == 24);
    CHECK(trace.prompt_len() == 16);
    CHECK(std::vector<std::size_t>(trace.layers().begin(), trace.layers().end()) == std::vector<std::size_t>{1, 4});
    CHECK(trace.held_layers() == std::vector<std::size_t>{1});
    CHECK(trace.sliding_window(4) == 8);
    CHECK(trace.token_type()[23] == 3);
    CHECK(trace.text("licence") == "MIT");
    CHECK(trace.captured() == &trace);
    CHECK_THROWS_WITH(trace.load_layer(2), ContainsSubstring("holds no layer 2; it holds 1, 4"));
    const CapturedTrace all(folder / "t.safetensors", with_sliding_layers());
    CHECK(all.held_layers() == std::vector<std::size_t>{1, 4});
}

TEST_CASE("What a trace may lack is told") {
    TensorFile file = made_up_trace().file;
    file.remove("token_type");
    file.remove("layers.1.wov_l1");
    file.add("layers.4.rope_scale", {1}, stored("F32", {1.25}));
    const TemporaryFolder folder;
    put(folder / "t.safetensors", file.bytes());
    const CapturedTrace trace(folder / "t.safetensors");
    CHECK(!trace.has_token_type());
    CHECK(trace.token_type()[5] == 0);
    CHECK(!trace.has_wov_l1(1));
    CHECK(trace.has_wov_l1(4));
    CHECK(trace.load_layer(1).wov_norm.empty());
    CHECK(trace.load_layer(4).rope_scale == 1.25f);
}

TEST_CASE("Rows are the mean attention of a KV head's query heads, sliding windows respected") {
    TraceShape shape;
    shape.query_heads = 6;
    shape.tokens = 75; // two blocks and a part of one
    shape.windows = {0, 5};
    const MadeUpTrace made = made_up_trace(shape);
    const TemporaryFolder folder;
    put(folder / "t.safetensors", made.file.bytes());
    const CapturedTrace trace(folder / "t.safetensors", with_sliding_layers());
    for (std::size_t l = 0; l < 2; ++l) {
        const std::string prefix = "layers." + std::to_string(shape.layers[l]) + ".";
        const auto &q = made.values.at(prefix + "q"), &k = made.values.at(prefix + "k");
        const auto dot = [&](std::size_t h, std::size_t i, std::size_t g, std::size_t j) {
            double sum = 0;
            for (std::size_t t = 0; t < shape.dim; ++t)
                sum += q[(h * shape.tokens + i) * shape.dim + t] * k[(g * shape.tokens + j) * shape.dim + t];
            return sum;
        };
        const auto reader = trace.open_layer(shape.layers[l]);
        for (std::size_t i = 0; i < shape.tokens; ++i) {
            const double* const rows = reader->next_row();
            for (std::size_t g = 0; g < 2; ++g) {
                std::vector<double> expected(i + 1);
                for (std::size_t h = 3 * g; h < 3 * g + 3; ++h) {
                    std::vector<double> weights(i + 1);
                    double total = 0;
                    for (std::size_t j = 0; j <= i; ++j)
                        if (shape.windows[l] == 0 || i - j < shape.windows[l])
                            total += weights[j] = std::exp(static_cast<double>(0.4f) * dot(h, i, g, j));
                    for (std::size_t j = 0; j <= i; ++j) expected[j] += weights[j] / total / 3;
                }
                for (std::size_t j = 0; j <= i; ++j)
                    REQUIRE(rows[g * reader->head_stride() + j] == Approx(expected[j]).epsilon(1e-5).margin(1e-12));
                for (std::size_t j = i + 1; j < padded(i + 1); ++j)
                    REQUIRE(std::isfinite(rows[g * reader->head_stride() + j]));
            }
        }
        CHECK(reader->key_norm()[reader->head_stride() + 7] == Approx(std::sqrt([&] {
                  double sum = 0;
                  for (std::size_t t = 0; t < shape.dim; ++t) sum += std::pow(k[(shape.tokens + 7) * shape.dim + t], 2);
                  return sum;
              }())));
    }
}

TEST_CASE("Layers are loaded from several threads at once") {
    const TemporaryFolder folder;
    put(folder / "t.safetensors", made_up_trace().file.bytes());
    const CapturedTrace trace(folder / "t.safetensors");
    const AlignedFloats expected = trace.load_layer(4).q;
    std::vector<std::thread> threads;
    std::array<bool, 4> same{};
    for (bool& result : same)
        threads.emplace_back([&trace, &expected, &result] { result = trace.load_layer(4).q == expected; });
    for (std::thread& thread : threads) thread.join();
    CHECK(same == std::array<bool, 4>{true, true, true, true});
}

TEST_CASE("Files that are cut or no safetensors files are refused") {
    check_message(tensors_message(""), {"has 0 bytes, too few"});
    check_message(tensors_message("1234567"), {"has 7 bytes"});
    const std::string whole = made_up_trace().file.bytes();
    CHECK(tensors_message(whole).empty());
    check_message(tensors_message(whole.substr(0, 100)), {"claims a header of", "cut short"});
    check_message(tensors_message(whole.substr(0, whole.size() - 1)),
                  {"tensor 'token_type'", "bytes of data", "copy or capture it again"});
    for (const unsigned char top : {0x80, 0xff, 0x7f}) { // 2^63 and more: must not wrap around
        std::string bytes = whole;
        bytes[7] = static_cast<char>(top);
        check_message(tensors_message(bytes), {"claims a header of"});
    }
    check_message(tensors_message(std::string(8, '\xff') + "{}"), {"claims a header of 18446744073709551615 bytes"});
    check_message(header_message("[]"), {"does not begin with '{'"});
    check_message(header_message(""), {"does not begin with '{'"});
    check_message(header_message("{\"a\":"), {"not JSON at byte"});
    check_message(header_message("{} x"), {"not JSON"});
    CHECK(header_message("{}   ").empty());
    CHECK_THROWS_WITH(SafetensorsFile("/nowhere/t"), ContainsSubstring("/nowhere/t: cannot be read: No such file"));
    CHECK_THROWS_WITH(SafetensorsFile("/tmp"), ContainsSubstring("is a folder, not a file"));
}

TEST_CASE("Headers nested ever so deep are refused without harm") {
    for (const char* open : {"[", "{\"a\":"}) {
        std::string deep = "{\"x\":";
        for (int i = 0; i < 1'000'000; ++i) deep += open;
        check_message(header_message(deep), {"tensor 'x'"});
    }
}

TEST_CASE("Each defect of the header names its tensor") {
    const auto one = [](const std::string& fields) { return "{" + tensor("w", fields) + "}"; };
    const std::string fine = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
    CHECK(header_message(one(fine), "1234").empty());
    const std::vector<std::pair<std::string, std::string>> defects{
        {R"("dtype":"F33","shape":[1],"data_offsets":[0,4])", "its type 'F33' is not known"},
        {R"("dtype":3,"shape":[1],"data_offsets":[0,4])", "field 'dtype': expected a text, found 3"},
        {R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", "its shape [2] of F32 needs 8 bytes, but its data has 4"},
        {R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])", "larger than any file"},
        {R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])", "larger than any file"},
        {R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", "expected a whole number from 0, found -1"},
        {R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])", "expected a whole number from 0, found 1.0"},
        {R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4])", "found 18446744073709551616"},
        {R"("dtype":"F32","shape":1,"data_offsets":[0,4])", "field 'shape': expected a list"},
        {R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])", "field 'shape': expected a whole number"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[0])", "has 1 data_offsets"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", "ends at byte 0, before it begins at 4"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[0,8])", "is bytes 0 to 8, but the file has 4"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615])", "the file has 4"},
        {R"("dtype":"F32","shape":[1])", "lacks the field 'data_offsets'"},
        {R"("shape":[1],"data_offsets":[0,4])", "lacks the field 'dtype'"},
        {R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])", "has the field 'dtype' twice"},
        {R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1)", "a field 'more' that safetensors does not know"},
    };
    for (const auto& [fields, message] : defects)
        check_message(header_message(one(fields), "1234"), {"tensor 'w'", message});
    check_message(header_message(R"({"w":null})"), {"tensor 'w': expected an object, found null"});
    check_message(header_message(R"({"__metadata__":{"a":1}})"), {"'__metadata__'", "field 'a': expected a text"});
    check_message(header_message("{" + tensor("w", fine) + "," + tensor("w", fine) + "}", "1234"),
                  {"tensor 'w': is in the header twice"});
    check_message(header_message("{" + tensor("w\\n\\u001b", "\"dtype\":1") + "}"), {R"('w\n\x1b')"}); // one line
}

TEST_CASE("Data of two tensors, or of none, is refused") {
    const auto two = [](const std::string& a, const std::string& b) {
        return "{" + tensor("a", R"("dtype":"U8","shape":[4],"data_offsets":)" + a) + "," +
               tensor("b", R"("dtype":"U8","shape":[4],"data_offsets":)" + b) + "}";
    };
    CHECK(header_message(two("[4,8]", "[0,4]"), "12345678").empty());
    check_message(header_message(two("[0,4]", "[2,6]"), "123456"),
                  {"tensor 'b': its data overlaps with that of tensor 'a': bytes 2 to 4 are in both"});
    check_message(header_message(two("[0,4]", "[0,4]"), "1234"), {"overlaps"});
    check_message(header_message(two("[0,4]", "[6,10]"), "1234567890"),
                  {"tensor 'b': bytes 4 to 6 in front of its data"});
    check_message(header_message(two("[0,4]", "[4,8]"), "123456789"),
                  {"bytes 8 to 9, the last of its data, are in no tensor"});
}

TEST_CASE("Each defect of a trace names its tensor or metadata") {
    const auto set = [](const std::string& key, const std::string& value) {
        return [key, value](TensorFile& file) { file.metadata[key] = value; };
    };
    const auto reshape = [](const std::string& name, std::vector<std::size_t> shape) {
        return [name, shape](TensorFile& file) { file.at(name).shape = shape; };
    };
    const auto retype = [](const std::string& name, const std::string& type) {
        return [name, type](TensorFile& file) {
            WrittenTensor& written = file.at(name);
            written.type = type;
            std::size_t bytes = type == "I8" || type == "U8" ? 1 : type == "F64" ? 8 : 4;
            for (const std::size_t length : written.shape) bytes *= length;
            written.bytes.resize(bytes);
        };
    };
    CHECK(changed_trace([](TensorFile&) {}).empty());
    check_message(changed_trace([](TensorFile& file) { file.metadata.clear(); }),
                  {"no trace: its metadata has no 'format'"});
    check_message(changed_trace(set("format", "evictlab-trace/2")), {"'evictlab-trace/2'", "reads evictlab-trace/1"});
    for (const char* key :
         {"model", "num_layers", "layers", "prompt_len", "softmax_scale", "sliding_window", "document"})
        check_message(changed_trace([key](TensorFile& file) { file.metadata.erase(key); }),
                      {std::string("its metadata has no '") + key + "'"});
    check_message(changed_trace(set("layers", "1,2")), {"tensor 'layers.2.q': is missing"});
    check_message(changed_trace(set("layers", "1,1")), {"names layer 1 twice"});
    check_message(changed_trace(set("layers", "1,6")), {"names layer 6, but 'num_layers' is 6"});
    check_message(changed_trace(set("layers", "one")), {"'layers' is 'one'", "whole numbers parted by commas"});
    check_message(changed_trace(set("num_layers", "0")), {"'num_layers' is '0'"});
    check_message(changed_trace(set("sliding_window", "0")), {"'sliding_window' has 1 numbers for the 2 layers"});
    check_message(changed_trace(set("prompt_len", "25")), {"'prompt_len' is 25, but must be from 1 to the 24 tokens"});
    check_message(changed_trace(set("prompt_len", "0")), {"'prompt_len' is 0"});
    check_message(changed_trace(set("softmax_scale", "nan")), {"'softmax_scale' is 'nan'"});
    check_message(changed_trace(set("softmax_scale", "-1")), {"'softmax_scale' is '-1'"});
    check_message(changed_trace(set("split", "tset")), {"'split' is 'tset'", "test_other_model"});

    for (const char* what : {"q", "k", "v", "rope_inv_freq"})
        check_message(changed_trace([what](TensorFile& file) { file.remove(std::string("layers.4.") + what); }),
                      {std::string("tensor 'layers.4.") + what + "': is missing"});
    check_message(changed_trace([](TensorFile& file) { file.remove("token_ids"); }),
                  {"tensor 'token_ids': is missing"});
    check_message(changed_trace(reshape("layers.1.q", {4, 144})), {"'layers.1.q': its shape is [4, 144]"});
    check_message(changed_trace(reshape("layers.1.q", {4, 12, 12})),
                  {"'layers.1.q'", "12 tokens, but token_ids has 24"});
    check_message(changed_trace(reshape("layers.1.q", {3, 24, 8})), {"'layers.1.k'", "must be [2, 24, 8]"});
    check_message(changed_trace(reshape("layers.1.v", {1, 24, 12})), {"'layers.1.v'", "must be [2, 24, 6]"});
    check_message(changed_trace(reshape("layers.1.wov_l1", {24, 4})), {"'layers.1.wov_l1'", "must be [4, 24]"});
    check_message(changed_trace(reshape("token_type", {2, 12})), {"'token_type': its shape is [2, 12]"});
    check_message(changed_trace(retype("token_ids", "F32")), {"'token_ids': is F32, but must be I32"});
    check_message(changed_trace(retype("layers.4.k", "F64")),
                  {"'layers.4.k': is F64, but must be F32, F16, BF16 or I8"});
    check_message(changed_trace(retype("layers.4.k", "I8")), {"tensor 'layers.4.k.scale': is missing"});
    check_message(changed_trace([](TensorFile& file) { file.at("token_type").bytes[5] = 4; }),
                  {"'token_type': the type of token 5 is 4"});
    check_message(changed_trace([](TensorFile& file) {
                      WrittenTensor& rope = file.at("layers.1.rope_inv_freq");
                      rope.shape = {2};
                      rope.bytes.resize(8);
                  }),
                  {"'layers.1.rope_inv_freq'", "must be [3]"});
    TraceShape uneven;
    uneven.query_heads = 3;
    check_message(changed_trace([](TensorFile&) {}, uneven), {"'layers.1.q': has 3 heads", "2 KV heads"});
    TraceShape odd;
    odd.dim = 5;
    check_message(changed_trace([](TensorFile&) {}, odd), {"'layers.1.q'", "a dim that is even"});
}

TEST_CASE("Values that are not finite are found with their place when the layer is loaded") {
    const auto poison = [](const std::string& name, std::size_t at, double value) {
        return [=](TensorFile& file) {
            WrittenTensor& written = file.at(name);
            const std::string one = stored(written.type, {value}).bytes;
            written.bytes.replace(at * one.size(), one.size(), one);
        };
    };
    const double nan = std::nan(""), infinity = INFINITY;
    check_message(changed_trace(poison("layers.4.k", 24 * 6 + 3 * 6 + 5, nan)),
                  {"tensor 'layers.4.k': the value at [1, 3, 5] is not a number"});
    check_message(changed_trace(poison("layers.1.wov_l1", 25, infinity)), {"'layers.1.wov_l1'", "[1, 1] is infinite"});
    check_message(changed_trace(poison("layers.1.rope_inv_freq", 2, -infinity)), {"'layers.1.rope_inv_freq'", "[2]"});
    for (const char* type : {"F16", "BF16"}) {
        TraceShape shape;
        shape.type = type;
        check_message(changed_trace(poison("layers.1.v", 0, nan), shape), {"'layers.1.v': the value at [0, 0, 0]"});
        check_message(changed_trace(poison("layers.1.q", 1, infinity), shape),
                      {"'layers.1.q'", "[0, 0, 1] is infinite"});
    }
    TraceShape integers;
    integers.type = "I8";
    check_message(changed_trace(poison("layers.4.q.scale", 24 + 2, infinity), integers),
                  {"'layers.4.q.scale': the value at [1, 2] is infinite"});
    check_message(changed_trace(
                      [](TensorFile& file) {
                          file.at("layers.4.q.scale").shape = {24, 4};
                      },
                      integers),
                  {"'layers.4.q.scale'", "must be [4, 24]"});
    check_message(changed_trace([](TensorFile& file) {
                      file.add("layers.1.q.scale", {4, 24}, stored("F16", std::vector<double>(96, 1)));
                  }),
                  {"'layers.1.q.scale': belongs to I8 values only"});
}
