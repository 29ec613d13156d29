// The table of a search's options: what is typed, checked, saved and read again is one row's.
// SPDX-License-Identifier: MIT
#include "base/option_error.hpp"
#include "evolution/search_options.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;
using namespace evictlab::evolution;

namespace {

const SearchOption& option_of(std::string_view key) {
    return *std::ranges::find(search_options(), key, &SearchOption::key);
}

/// A value that is not the usual one.
std::string unusual(const SearchOption& option) {
    if (!option.words[0].empty()) return std::string(option.words[is_usual(RunConfig{}, option) ? 1 : 0]);
    return option.range && option.range->high == 1 ? "0.5" : "3";
}

Json saved(const RunConfig& config) {
    Json json;
    write_options(config, json);
    return json;
}

RunConfig read_back(const Json& json) {
    static const std::string name = "a file";
    RunConfig config;
    read_options(JsonField(json, name), config);
    return config;
}

} // namespace

TEST_CASE("what is typed for an option is in the state under its key, and is read again") {
    for (const SearchOption& option : search_options()) {
        INFO(option.key);
        RunConfig config;
        set_option(config, option, unusual(option));
        CHECK_FALSE(is_usual(config, option));
        CHECK(out_of_range(config, option).empty());
        const Json json = saved(config), usual = saved(RunConfig{});
        for (const auto& [key, value] : json.items()) {
            const bool changed = value != usual.at(key), own = key == option.key;
            CHECK(changed == own);
        }
        const RunConfig back = read_back(json);
        for (const SearchOption& each : search_options()) CHECK(number_of(back, each) == number_of(config, each));
    }
}

TEST_CASE("states have their options in the order that they always had") {
    std::string keys;
    const Json json = saved(RunConfig{});
    for (const auto& [key, value] : json.items()) keys += key + " ";
    CHECK(keys == "seed population max_nodes node_price tuned tuning_evaluations query_stride judged verdict_tuning "
                  "proposals parents islands migration archive semantic_duplicates race ");
}

TEST_CASE("a value that an option cannot have is told with its name") {
    RunConfig config;
    const auto refused = [&](const char* key, const char* text) -> std::string {
        try {
            set_option(config, option_of(key), text);
        } catch (const OptionError& error) {
            CHECK(error.option == key);
            return error.problem;
        }
        return out_of_range(config, option_of(key));
    };
    CHECK(refused("population", "many") == "is 'many', but must be a whole number");
    CHECK(refused("population", "-3") == "is '-3', but must be a whole number");
    CHECK(refused("population", "1") == "is 1, but must be from 2 to 1000000");
    CHECK(refused("archive", "nan") == "is 'nan', but must be a number such as 0.2");
    CHECK(refused("archive", "1") == "is 1, but must be from 0 to below 1");
    CHECK(refused("race", "yes") == "is 'yes', but must be off or on");
    CHECK(refused("parents", "roulette") == "is 'roulette', but must be tournament or lexicase");
    CHECK(refused("query_stride", "0") == "is 0, but must be from 1 to 1000000");
    CHECK(refused("seed", "18446744073709551615").empty());
    CHECK(config.seed == ~std::uint64_t{0});
}

TEST_CASE("limits are typed, saved and read by the same rows") {
    RunLimits limits;
    for (const LimitOption& limit : limit_options()) {
        INFO(limit.key);
        CHECK(limits_json(limits).at(std::string(limit.key)).is_null());
        set_limit(limits, limit, "3");
        CHECK(limits_json(limits).at(std::string(limit.key)) == 3);
        try {
            set_limit(limits, limit, "soon");
            FAIL("a word is no limit");
        } catch (const OptionError& error) {
            CHECK(error.option == limit.name);
        }
    }
    static const std::string name = "a file";
    const Json json = limits_json(limits);
    CHECK(limits_json(limits_from_json(JsonField(json, name))) == json);
    CHECK(limits.seconds == 3.0);
}

TEST_CASE("searches begin with what is usual for their kind") {
    const RunConfig synthetic = usual_config(false, false), captured = usual_config(true, false),
                    tuned = usual_config(true, true);
    CHECK(synthetic.population == 400);
    CHECK(captured.population == 100);
    CHECK(captured.tuned == 2);
    CHECK(captured.tuning_evaluations == 80);
    CHECK(captured.max_nodes == 200);
    CHECK(tuned.population == 24);
    CHECK(tuned.tuned == 1);
    CHECK(tuned.tuning_evaluations == 24);
    CHECK(usual_text(option_of("population")) == "400; captured suites: 100; a plugin's parameters: 24");
    CHECK(usual_text(option_of("race")) == "off");
    CHECK(usual_text(option_of("judged")) == "16");
}
