// The synthetic suites' random numbers and patterns against the original's.
// SPDX-License-Identifier: MIT
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/suite/chacha12.hpp"
#include "framework/suite/synthetic.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/reference.hpp"

using evictlab::ChaCha12;

namespace {

nlohmann::json expected() {
    return nlohmann::json::parse(std::ifstream(EVICTLAB_TEST_DATA "/expected/rng-and-patterns.json"));
}

} // namespace

TEST_CASE("The generator gives the original's words, doubles and shuffles") {
    const auto all = expected();
    REQUIRE(!all.at("rng").empty());
    for (const auto& of_seed : all.at("rng")) {
        const std::uint64_t seed = of_seed["seed"];
        ChaCha12 words(seed), pairs(seed), doubles(seed), shuffled(seed);
        for (const auto& word : of_seed["u32"]) CHECK(words.next_u32() == word.get<std::uint32_t>());
        for (const auto& pair : of_seed["u64"]) CHECK(std::to_string(pairs.next_u64()) == pair.get<std::string>());
        for (const auto& value : of_seed["f64"]) CHECK(doubles.uniform() == value.get<double>());
        std::vector<std::size_t> list(12);
        std::iota(list.begin(), list.end(), std::size_t{0});
        shuffled.shuffle(list);
        CHECK(list == of_seed["shuffle_0_to_11"].get<std::vector<std::size_t>>());
        CHECK(shuffled.uniform() == of_seed["f64_after_shuffle"].get<double>());
    }
}

TEST_CASE("Draws in bulk equal draws one by one, from any word on") {
    for (const std::uint64_t from : {0, 1, 15, 16, 127, 1000}) {
        ChaCha12 one(7), bulk(7);
        one.seek(from);
        bulk.seek(from);
        for (const std::size_t n : {1, 3, 8, 64, 333}) {
            std::vector<double> out(evictlab::padded(n));
            bulk.uniforms(out.data(), n);
            for (std::size_t i = 0; i < n; ++i) REQUIRE(out[i] == one.uniform());
        }
        CHECK(one.position() == bulk.position());
    }
}

namespace {

/// From names such as micro_seed_1000_len64_layers4 and full_train_3, by docs/benchmark.md.
evictlab::PatternSpec spec_of(const std::string& name, const nlohmann::json& want) {
    evictlab::PatternSpec spec{name, evictlab::PatternStyle::micro, 0, want["seq_len"], want["num_layers"], 0.15, 0.4};
    if (name.rfind("micro_seed_", 0) == 0) {
        spec.seed = std::stoull(name.substr(11));
        return spec;
    }
    spec.style = evictlab::PatternStyle::full;
    const std::uint64_t i = std::stoull(name.substr(name.rfind('_') + 1));
    if (name.rfind("full_train", 0) == 0) {
        spec.seed = (1000 + i) ^ i;
        spec.sink_strength = 0.1 + 0.1 * static_cast<double>(i % 5) / 4;
        spec.local_strength = 0.3 + 0.2 * static_cast<double>(i % 4) / 3;
    } else {
        spec.seed = name.rfind("full_valid", 0) == 0 ? (2000 + i) ^ (1000 + i) : (3000 + i) ^ (2000 + i);
    }
    return spec;
}

} // namespace

TEST_CASE("Patterns equal the original's") {
    const auto patterns = expected()["patterns"];
    REQUIRE(patterns.size() >= 5);
    for (const auto& [name, want] : patterns.items()) {
        INFO(name);
        const evictlab::TracePtr trace = evictlab::make_pattern(spec_of(name, want));
        for (const auto& norm : want["key_norms"]) {
            const auto reader = trace->open_layer(norm["layer"]);
            CHECK(reader->key_norm()[norm["key"].get<std::size_t>()] ==
                  Approx(norm["norm"].get<double>()).epsilon(1e-14));
        }
        std::array<std::size_t, 3> types{};
        for (std::size_t i = 0; i < trace->seq_len(); ++i) ++types.at(static_cast<std::size_t>(trace->token_type()[i]));
        CHECK(want["token_type_counts"] == types);
        std::size_t checked = 0;
        for (std::size_t layer = 0; layer < trace->num_layers(); ++layer) {
            std::vector<nlohmann::json> samples;
            for (const auto& sample : want["samples"])
                if (sample["layer"] == layer) samples.push_back(sample);
            if (samples.empty()) continue;
            const auto reader = trace->open_layer(layer);
            for (std::size_t query = 0; query < trace->seq_len(); ++query) {
                const double* row = reader->next_row();
                for (const auto& sample : samples)
                    if (sample["query"] == query) {
                        const double attention = sample["attention"];
                        CHECK(row[sample["key"].get<std::size_t>()] == Approx(attention).epsilon(1e-12));
                        ++checked;
                    }
            }
        }
        CHECK(checked == want["samples"].size());
    }
}
