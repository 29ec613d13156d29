// Methods that read a calibration against what kvpress and the authors' programs computed on a real model, and the
// columns that any formula may read of one. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "framework/cut/top_k.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/methods_presses.hpp"

using namespace evictlab;
using namespace evictlab::test;

namespace {

constexpr std::size_t layers[] = {0, 14, 29};
constexpr const char* budgets[] = {"0.25", "0.5", "0.75"};

struct Row {
    const char* press;
    const char* scorer;
};

constexpr Row rows[] = {
    {"qfilter", "qfilter@kvpress"},
    {"triattention", "triattention@paper"},
    {"triattention_raw", "triattention@paper:raw=1"},
    {"triattention_max", "triattention@paper:peak=1"},
    {"triattention_mean_o1024", "triattention@paper:future=1024,mean=1"},
    {"lukv_expected_attention", "lukv@kvpress(expected_attention@kvpress:epsilon=0.02)"},
    {"lukv_snapkv_w32k7", "lukv@kvpress(snapkv@kvpress:window=32,kernel=7)"},
};

/// The largest difference over the largest expected value: the scores cross zero.
double off_of_layer(const std::vector<double>& scores, const std::vector<double>& expected) {
    REQUIRE(scores.size() == expected.size());
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        worst = std::max(worst, std::abs(scores[i] - expected[i]));
        largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
}

/// Of a fixture [query_heads][tokens] the largest, or the mean, of each KV head's group.
std::vector<double> of_groups(const MethodsLayer& layer, const std::string& press, bool mean) {
    const std::vector<float>& scores = layer.scores.at(press + ".qhead");
    std::vector<double> out(layer.kv_heads * layer.tokens, mean ? 0 : -HUGE_VAL);
    for (std::size_t h = 0; h < layer.query_heads; ++h)
        for (std::size_t i = 0; i < layer.tokens; ++i) {
            double& at = out[h / layer.group() * layer.tokens + i];
            const double score = double{scores[h * layer.tokens + i]};
            at = mean ? at + score / static_cast<double>(layer.group()) : std::max(at, score);
        }
    return out;
}

std::vector<double> doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

} // namespace

TEST_CASE("calibrated methods keep what the originals kept") {
    for (const Row& row : rows)
        for (const std::size_t index : layers)
            for (const char* budget : budgets) {
                const MethodsLayer& layer = methods_layer(index);
                const auto selected = select(row.scorer, layer, std::stod(budget), product_column);
                const auto& place = calibrated_methods_kept();
                const auto& kept = place.at("kept").at(row.press).at(budget).at(std::to_string(index));
                const auto& gaps = place.at("gap").at(row.press).at(budget).at(std::to_string(index));
                for (std::size_t head = 0; head < layer.kv_heads; ++head) {
                    INFO(row.press << ", layer " << index << ", removed " << budget << ", head " << head);
                    const auto scores = std::span(selected.scores).subspan(head * layer.tokens, layer.tokens);
                    CHECK(difference(selected.kept[head], kept[head].get<std::vector<std::size_t>>(), scores,
                                     gaps[head].get<double>()) == "");
                }
            }
}

namespace {

/// The original's own scores of all query heads, each standardized: the largest over heads and layers of each token.
std::vector<double> largest_of_original() {
    std::vector<double> largest(297, -HUGE_VAL);
    for (const std::size_t index : layers) {
        const std::vector<float>& raw = methods_layer(index).scores.at("triattention.qhead");
        for (std::size_t h = 0; h < 9; ++h) {
            const auto row = std::span(raw).subspan(h * 297, 297);
            double mean = 0, squares = 0;
            for (const float x : row) mean += double{x} / 297;
            for (const float x : row) squares += (double{x} - mean) * (double{x} - mean) / 297;
            for (std::size_t j = 0; j < 297; ++j)
                largest[j] = std::max(largest[j], (double{row[j]} - mean) / std::sqrt(squares));
        }
    }
    return largest;
}

std::vector<std::size_t> best(std::span<const double> scores, std::size_t count) {
    const auto positions = top_k(scores, count);
    return {positions.begin(), positions.end()};
}

} // namespace

TEST_CASE("TriAttention's set for each KV head in all layers is that of the original") {
    for (const char* budget : budgets) {
        const auto selected = select_of_model("triattention@per_head", std::stod(budget), product_column);
        const auto& kept = calibrated_methods_kept().at("kept").at("triattention_perhead").at(budget).at("all");
        const auto& gaps = calibrated_methods_kept().at("gap").at("triattention_perhead").at(budget).at("all");
        for (std::size_t layer = 0; layer < 3; ++layer)
            for (std::size_t head = 0; head < 3; ++head) {
                INFO("removed " << budget << ", layer " << layers[layer] << ", head " << head);
                CHECK(difference(selected[layer].kept[head], kept[head].get<std::vector<std::size_t>>(),
                                 std::span(selected[layer].scores).subspan(head * 297, 297),
                                 gaps[head].get<double>()) == "");
            }
    }
}

TEST_CASE(
    "TriAttention's one set for everything is that of the original, as far as single precision tells scores apart") {
    const std::vector<double> original = largest_of_original();
    const double told_apart = 1e-4 * *std::ranges::max_element(original); // to which the scores agree
    for (const char* budget : budgets) {
        INFO("removed " << budget);
        const auto& kept = calibrated_methods_kept().at("kept").at("triattention_union").at(budget).at("all")[0];
        const auto expected = kept.get<std::vector<std::size_t>>();
        CHECK(best(original, expected.size()) == expected);
        double boundary = HUGE_VAL;
        for (const std::size_t j : expected) boundary = std::min(boundary, original[j]);
        const auto selected = select_of_model("triattention@union", std::stod(budget), product_column);
        for (const Selected& layer : selected)
            for (std::size_t head = 0; head < 3; ++head) {
                CHECK(layer.kept[head] == selected[0].kept[0]);
                REQUIRE(layer.kept[head].size() == expected.size());
                for (const std::size_t j : layer.kept[head]) CHECK((original[j] >= boundary - told_apart));
            }
        if (budget != std::string("0.75")) CHECK(selected[0].kept[0] == expected); // there two are 2e-5 apart
    }
}

TEST_CASE("scores by directions and by mean queries are those of the originals") {
    for (const std::size_t index : layers) {
        INFO("layer " << index);
        const MethodsLayer& layer = methods_layer(index);
        CHECK(off_of_layer(product_column(layer, "query_axis"), doubles(layer.scores.at("qfilter"))) < 1e-4);
        CHECK(off_of_layer(product_column(layer, "tri_score:raw"), of_groups(layer, "triattention", false)) < 1e-4);
        CHECK(off_of_layer(product_column(layer, "tri_score:peak:raw"), of_groups(layer, "triattention_max", false)) <
              6e-4);
        CHECK(off_of_layer(product_column(layer, "tri_score:future=1024:mean:raw"),
                           of_groups(layer, "triattention_mean_o1024", true)) < 1e-4);
    }
}

TEST_CASE("DuoAttention: as many heads stream as kvpress lets, by their order in the whole model") {
    const auto& duo = calibrated_methods_kept().at("duo_attention");
    const std::string ends = fmt::format("sinks={},recent={}", duo.at("params").at("sink_size").get<int>(),
                                         duo.at("params").at("recent_size").get<int>());
    for (const char* budget : budgets)
        for (const std::size_t index : layers) {
            INFO("removed " << budget << ", layer " << index);
            const auto selected =
                select("duo_attention@kvpress:" + ends, methods_layer(index), std::stod(budget), product_column);
            const auto& kept = duo.at("kept").at(budget).at(std::to_string(index));
            for (std::size_t head = 0; head < 3; ++head)
                CHECK(selected.kept[head] == kept[head].get<std::vector<std::size_t>>());
        }
    const auto whole = select("duo_attention@kvpress", methods_layer(14), 1, product_column);
    CHECK(whole.kept[0].size() == 297); // no more than the sinks and the recent tokens
}

TEST_CASE("DuoAttention matched: heads stream until the share of tokens is gone") {
    const auto kept_of_model = [](double removed) { // the layers of the fixture stand for all by their tensors
        std::size_t kept = 0;
        for (std::size_t index = 0; index < 30; ++index) {
            MethodsLayer layer = methods_layer(14);
            layer.layer = index;
            layer.calibration = methods_calibration().layer(index);
            for (const auto& head :
                 select("duo_attention@matched:sinks=16,recent=48", layer, removed, product_column).kept)
                kept += head.size();
        }
        return static_cast<double>(kept) / (90 * 297);
    };
    CHECK(kept_of_model(0.25) == Approx(0.75).margin(0.01));
    CHECK(kept_of_model(0.6) == Approx(0.4).margin(0.01));
    CHECK(kept_of_model(0.95) == Approx(64.0 / 297)); // all stream, and no more can go
}

TEST_CASE("Q-Filters' paper protects its window, LU-KV both ends") {
    const MethodsLayer& layer = methods_layer(14);
    const auto windowed = select("qfilter@paper", layer, 0.75, product_column);
    for (const auto& head : windowed.kept) {
        REQUIRE(head.size() == 74);
        CHECK(head[10] == 233); // 64 of the newest
    }
    const auto shares = select("lukv@kvpress:sinks=2,window=3(knorm@kvpress)", layer, 0.5, product_column);
    for (const auto& head : shares.kept) {
        CHECK(std::ranges::includes(head, std::vector<std::size_t>{0, 1, 294, 295, 296}));
    }
    std::set<std::size_t> counts;
    for (const auto& head : shares.kept) counts.insert(head.size());
    CHECK(counts.size() == 3);
}

TEST_CASE("constants and rows of tables are columns, the same for all tokens of a head") {
    const MethodsLayer& layer = methods_layer(29);
    const auto duo = product_column(layer, "calibrated:duo_attention");
    const auto& scores = calibrated_methods_kept().at("duo_attention").at("head_scores")[29];
    const auto shares = product_column(layer, "calibrated:lukv:row=50");
    for (std::size_t head = 0; head < 3; ++head)
        for (const std::size_t i : {std::size_t{0}, layer.tokens - 1}) {
            CHECK(duo[head * layer.tokens + i] == Approx(scores[head].get<double>()));
            CHECK(shares[head * layer.tokens + i] ==
                  Approx(0.5 * (0.7 + 0.58 + 0.01 * static_cast<double>((203 + 3 * head) % 11))));
        }
    const auto formula = select("=calibrated:duo_attention*key_norm - position", layer, 0.5, product_column);
    CHECK(formula.kept[0].size() == 148);
}

TEST_CASE("names of calibrated columns that make no sense are refused") {
    for (const char* name : {"calibrated", "calibrated:", "calibrated:Mine", "calibrated:lukv:row=0",
                             "calibrated:lukv:line=1", "tri_score:largest", "query_axis:3"})
        CHECK_THROWS_WITH(columns::intern(name), ContainsSubstring(std::string(name).substr(0, 9)));
    CHECK(columns::absent(columns::intern("calibrated:duo_attention"), methods_calibration()).empty());
    CHECK_THAT(columns::absent(columns::intern("rank:calibrated:mine"), methods_calibration()),
               ContainsSubstring("no constants 'mine'; it has duo_attention, lukv"));
    CHECK_THAT(columns::absent(columns::intern("calibrated:lukv:row=100"), methods_calibration()),
               ContainsSubstring("has 99 rows"));
}
