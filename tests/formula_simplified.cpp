// Shorter formulas have the same scores to the bit, for all values that columns can have and on random layers; and what
// is claimed of columns is true of them. SPDX-License-Identifier: MIT
#include "framework/formula/simplified.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "framework/columns/facts.hpp"
#include "framework/formula/program.hpp"
#include "framework/scoring/prompt_columns.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/made_layer.hpp"
#include "tests/support/random_formula.hpp"

using namespace evictlab;
using namespace evictlab::formula;
using namespace evictlab::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t tokens = 24;

std::string shorter(std::string_view text) { return print(simplified(parse(text))); }

bool is_true_of(const ColumnFacts& facts, double value) {
    if (std::isnan(value)) return facts.nan;
    return value >= facts.low && value <= facts.high && (facts.negative_zero || value != 0 || !std::signbit(value));
}

/// A value that the facts allow: often at an end of their range, zero, or what no computation expects.
double allowed(const ColumnFacts& facts, testing::RandomFormulas& random) {
    const double ends[] = {facts.low, facts.high, 0.0, -0.0, std::nan(""), 1, 2, 3, 4};
    for (;;) {
        double value = random.below(3) == 0 ? ends[random.below(std::size(ends))] : random.constant();
        if (facts.low >= 0 && std::signbit(value) && random.below(8) > 0) value = -value;
        if (is_true_of(facts, value)) return value;
    }
}

struct Values {
    std::map<ColumnId, std::vector<double>> of;

    explicit Values(std::span<const ColumnId> ids, testing::RandomFormulas& random) {
        for (const ColumnId id : ids) {
            auto& values = of[id];
            for (std::size_t i = 0; i < padded(tokens); ++i) values.push_back(allowed(columns::facts(id), random));
        }
    }
};

/// The bits of all scores; `data` gives a column's values, one where it is the same for all tokens.
template <class Data>
std::vector<std::uint64_t> scores(const Formula& formula, std::size_t n, const Data& data) {
    const Program program(formula);
    std::vector<ColumnView> views;
    for (const ColumnId id : program.columns()) views.push_back({data(id), columns::kind(id) != ColumnKind::token});
    std::vector<double> out(padded(n));
    Workspace workspace;
    program.evaluate(views, program.constants(), n, out.data(), workspace);
    std::vector<std::uint64_t> bits(n);
    std::memcpy(bits.data(), out.data(), n * sizeof(double));
    return bits;
}

/// As evolution leaves them: guards, bounds and sizes around parts that a random formula seldom puts there.
Formula guarded(const Formula& inner, testing::RandomFormulas& random) {
    static constexpr const char* frames[] = {"if(relative_pos < -0.249, token_type + token_type, @)",
                                             "max(0, @) + max(@, 0)*1",
                                             "if(is_sink, @, 0.5*is_sink + @)",
                                             "if(position < 4, keep, min(position, 3)*@ + @)",
                                             "abs(cumulative_attn)*@ - abs(@)",
                                             "if(relative_pos >= 0, @, drop)",
                                             "sqrt(abs(key_norm))^2 + @ - 0*layer_idx",
                                             "if(layer_ratio <= 1, @, @^2)",
                                             "(@)^if(position >= 0, 2, recent_attn)",
                                             "min(max(@, -1), 2) - min(@, 1e300)",
                                             "if(sequence_len > 8, if(sequence_len < 4, keep, @), @)"};
    std::string text = frames[random.below(std::size(frames))];
    const std::string part = "(" + print(inner) + ")";
    for (std::size_t at = 0; (at = text.find('@', at)) != std::string::npos; at += part.size())
        text.replace(at, 1, part);
    return parse(text);
}

Formula random_formula(testing::RandomFormulas& random) {
    const Formula inner = random.next(14);
    return random.below(2) == 0 ? random.next(40) : guarded(inner, random);
}

} // namespace

TEST_CASE("what never decides is left out") {
    CHECK(shorter("if(position < 2, keep, if(relative_pos < -0.249, token_type + token_type, recent_attn))") ==
          "if(position < 2, keep, recent_attn)");
    CHECK(shorter("max(0, relative_pos) + abs(position)") == "relative_pos + position");
    CHECK(shorter("min(layer_ratio, 2)*recent_attn") == "layer_ratio*recent_attn");
    CHECK(shorter("if(is_sink, keep, recent_attn + 3*is_sink)") == "if(is_sink, keep, recent_attn)");
    CHECK(shorter("if(is_sink, keep, position + 3*is_sink)") == "if(is_sink, keep, position)");
    CHECK(shorter("if(position < 4, keep, max(position, 3.5))") == "if(position < 4, keep, position)");
    CHECK(shorter("if(position >= 4, max(position, 3.5), keep)") == "if(position >= 4, position, keep)");
    CHECK(shorter("if(sequence_len, recent_attn, drop)") == "recent_attn");
    CHECK(shorter("sqrt(relative_pos)/sqrt(relative_pos)") == "sqrt(relative_pos)/sqrt(relative_pos)"); // 0 at 0
    CHECK(shorter("key_norm/(sequence_len/sequence_len)") == "key_norm");
    CHECK(shorter("rank:key_norm*1 - 0") == "rank:key_norm");
    CHECK(shorter("recent_attn*(2*3)") == "recent_attn*6");
}

TEST_CASE("what could change a bit stays") {
    for (const char* text : {"key_cos + 0",                                      // of -0
                             "if(cumulative_attn >= 0, position, keep)",         // of no number
                             "max(recent_attn, 0)", "recent_attn - recent_attn", // of infinity
                             "0*cumulative_attn", "position + 0.1 + 0.2",        // another order rounds otherwise
                             "recent_attn^if(position >= 0, 2, token_type)"}) {  // another way to compute a power
        INFO(text);
        CHECK(shorter(text) == text);
    }
}

TEST_CASE("random formulas keep all bits for all values that columns may have") {
    testing::RandomFormulas random(20);
    std::size_t shortened = 0;
    for (int i = 0; i < 6000; ++i) {
        const Formula before = random_formula(random), after = simplified(before);
        shortened += after.size() < before.size() ? 1 : 0;
        REQUIRE(after.size() <= before.size());
        REQUIRE(simplified(after) == after);
        for (int k = 0; k < 3; ++k) {
            const Values values(columns::of_the_seed(), random);
            const auto data = [&](ColumnId id) { return values.of.at(id).data(); };
            INFO(print(before) << "\n" << print(after));
            REQUIRE(scores(before, tokens, data) == scores(after, tokens, data));
        }
    }
    CHECK(shortened > 2000);
}

TEST_CASE("random formulas keep all bits on random layers, of whose columns the facts are true") {
    const std::vector<std::string> names{
        "cumulative_attn", "is_sink",       "key_norm",     "last_attn",    "layer_idx",    "layer_ratio",
        "num_layers",      "observed_attn", "position",     "rank:key_cos", "relative_age", "relative_pos",
        "sequence_len",    "token_type",    "value_norm",   "window_max:8", "window_std:8", "window_var:8",
        "recent_attn",     "attn_entropy",  "window_attn:8"};
    const auto ids = interned(names);
    testing::RandomFormulas random(21);
    for (const float scale : {0.05F, 1.3F, 30.0F}) { // the last puts all attention on one token
        const OwnedLayer layer = made_layer(0, scale);
        const AttentionRows rows(layer.view());
        std::vector<double> types(padded(50));
        for (double& type : types) type = static_cast<double>(random.below(4));
        LayerView view = layer.view();
        view.prompt = 40;
        view.token_type = types.data();
        PromptColumns computed(view, &rows, ids);
        const auto place = [&](ColumnId id) { return std::size_t(std::ranges::find(ids, id) - ids.begin()); };
        for (std::size_t head = 0; head < 2; ++head) {
            for (const ColumnId id : ids) {
                const auto column = computed.columns().view(place(id), head);
                for (std::size_t i = 0; i < (column.uniform ? 1 : view.prompt); ++i) {
                    INFO(columns::name(id) << " is " << column.data[i]);
                    CHECK(is_true_of(columns::facts(id), column.data[i]));
                }
            }
            const auto data = [&](ColumnId id) { return computed.columns().view(place(id), head).data; };
            for (int i = 0; i < 400; ++i) {
                const Formula before = random_formula(random), after = simplified(before);
                INFO(print(before) << "\n" << print(after));
                REQUIRE(scores(before, view.prompt, data) == scores(after, view.prompt, data));
            }
        }
    }
}

TEST_CASE("nothing is claimed of a column that is not known") {
    const ColumnFacts nothing = columns::facts(columns::intern("key_cos"));
    CHECK((nothing.low == -infinity && nothing.high == infinity && nothing.nan && nothing.negative_zero));
    CHECK(columns::facts(columns::intern("relative_pos")).low == 0);
}
