// The plugin host: what it finds, and what each kind of bad plugin is told.
// SPDX-License-Identifier: MIT
#include "framework/plugin/host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/support/catch.hpp"

using namespace evictlab;
namespace fs = std::filesystem;

namespace {

const fs::path test_plugins = EVICTLAB_TEST_PLUGINS;

template <class Call>
PluginError error_of(Call&& call) {
    try {
        call();
    } catch (const PluginError& error) {
        return error;
    }
    FAIL("no PluginError");
    throw 0;
}

// A batch of one column and two heads, which the plugin's columns all show.
struct TestBatch {
    std::vector<double> values{1, 2, 3, 10, 20, 30};
    std::vector<const double*> columns;
    std::vector<std::ptrdiff_t> strides;
    evl_batch batch{};

    explicit TestBatch(const Plugin& plugin)
        : columns(plugin.columns().size(), values.data()), strides(plugin.columns().size(), 3) {
        batch = {sizeof batch, 1, 4, 2, 3, 3, columns.data(), strides.data(), 0, 0, nullptr, 0, nullptr};
    }
};

std::vector<double> scores_of(const Plugin& plugin, std::vector<double> values) {
    const TestBatch batch(plugin);
    std::vector<double> scores(6);
    plugin.create(values)->score(batch.batch, scores.data());
    return scores;
}

fs::path temporary_folder(const std::string& name) {
    const fs::path folder = fs::path(EVICTLAB_BUILD_DIR) / "tests" / ("host-" + name);
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
}

} // namespace

TEST_CASE("a plugin that breaks the contract is refused with its name, the phase and the cause") {
    const auto [name, cause] = GENERATE(table<std::string, std::string>({
        {"missing_symbol", "the symbol `evictlab_scorer` is missing"},
        {"wrong_magic", "wrong magic 0x0000000000001234 (expected 0x31524f43534c5645)"},
        {"wrong_abi_major", "built for ABI 9.4, but this program has ABI 1.4"},
        {"short_struct", "struct_size 64 is too small"},
        {"null_id", "id is null"},
        {"bad_id", "id 'Bad Id' is not a name: it must match [a-z][a-z0-9_]*"},
        {"null_name", "name is null"},
        {"null_create", "the function create is null"},
        {"null_score", "the function score is null"},
        {"null_destroy", "the function destroy is null"},
        {"bad_param_key", "key of parameter 1 'power-of' is not a name"},
        {"twin_param", "parameter 'window' is declared twice"},
        {"min_above_default", "parameter 'window': min 9 is above the default 8"},
        {"max_below_default", "parameter 'window': max 7 is below the default 8"},
        {"log_from_zero", "parameter 'power': a log scale needs min above 0, not 0"},
        {"infinite_param", "parameter 'power': min 0, max inf and default 0.5 must be finite"},
        {"fractional_integer", "parameter 'window': default 8.5 must be a whole number from 1 to 64"},
        {"unknown_type", "parameter 'window': unknown type 5"},
        {"short_param", "param_size 16 is too small"},
        {"null_params", "param_count is 2, but params is null"},
        {"preset_out_of_range", "preset 'seed': window=65 must be a whole number from 1 to 64"},
        {"preset_without_values", "preset 'paper': values is null"},
        {"bad_preset_name", "name of preset 1 'Paper!' is not a name"},
        {"twin_preset", "preset 'seed' is declared twice"},
        {"null_columns", "column_count is 2, but columns is null"},
        {"garbage_count", "is more than"},
        {"open_brace", "column 'window_attn:{window': a '{' has no '}'"},
        {"unknown_brace", "names the parameter 'windw', which the plugin does not have"},
        {"bad_choice", "'{window?avg}' is not {parameter?A|B}"},
        {"bad_column_parameter", "0.5"},
        {"null_extension", "the extension evictlab.layer_budget/1: its function is null"},
        {"throwing_extension", "thrown in extension"},
        {"threshold_far", "evictlab.threshold/1: it names parameters 9 and 0 of 2"},
        {"threshold_whole", "evictlab.threshold/1: its threshold is no real number"},
        {"threshold_window", "evictlab.threshold/1: its window is no whole number from 1"},
        {"threshold_budgeted", "evictlab.threshold/1: a threshold goes with no scores for a budget"},
        {"window_without_tensors", "tensor_window is 8, but the flag EVL_TENSORS is not set"},
        {"variant_id", "variant 1 has the id 'another' instead of 'variant_id'"},
        {"variant_preset", "preset 'seed' is declared by two variants"},
        {"endless_variants", "more than 64 variants"},
    }));
    const auto error = error_of([&, file = test_plugins / "refused" / (name + ".so")] { Plugin::load(file); });
    CHECK(error.phase == "load");
    CHECK_THAT(error.cause, ContainsSubstring(cause));
    CHECK_THAT(error.plugin, ContainsSubstring(name + ".so"));
    CHECK_THAT(error.what(), ContainsSubstring(name) && ContainsSubstring(": load: ") && ContainsSubstring(cause));
}

TEST_CASE("an unknown column is refused with all the known ones") {
    const auto error = error_of([] { Plugin::load(test_plugins / "refused" / "unknown_column.so"); });
    CHECK_THAT(error.cause, ContainsSubstring("asks for the unknown column 'key_nrom'"));
    CHECK_THAT(error.cause, ContainsSubstring(columns::known_names()));
    CHECK_THAT(error.plugin, ContainsSubstring("unknown_column ("));
}

TEST_CASE("a file that is no whole library is refused before it is mapped") {
    const auto folder = temporary_folder("files");
    const auto cause = [&](const char* name) { return error_of([&] { Plugin::load(folder / name); }).cause; };
    std::ofstream(folder / "text.so") << "hello";
    std::ofstream(folder / "empty.so").flush();
    std::ofstream(folder / "magic_only.so") << "\177ELF";
    fs::copy_file(builtin_plugin_folder() / "h2o.so", folder / "half.so");
    fs::resize_file(folder / "half.so", 8192); // before the end of what is mapped
    CHECK(cause("text.so") == "not a shared library");
    CHECK(cause("empty.so") == "the file is empty");
    CHECK_THAT(cause("magic_only.so"), ContainsSubstring("truncated: it ends after 4 bytes"));
    CHECK_THAT(cause("half.so"), ContainsSubstring("truncated"));
    CHECK(cause("gone.so") == "no such file");
    CHECK(cause("") == "not a file");
}

TEST_CASE("a create that fails is reported with its text") {
    const auto [name, cause] = GENERATE(table<std::string, std::string>({
        {"failing_create", "status 1: the model file is missing"},
        {"silent_failure", "status 7: no text given"},
        {"throwing_create", "an exception escaped: thrown in create"},
        {"throwing_int", "an exception escaped that is not a std::exception"},
        {"no_instance", "reported success without an instance"},
    }));
    const auto plugin = Plugin::load(test_plugins / "loaded" / (name + ".so"));
    const auto error = error_of([&] { plugin->create(plugin->preset("seed")->values); });
    CHECK(error.phase == "create");
    CHECK(error.cause == cause);
    CHECK_THAT(error.plugin, ContainsSubstring(name + " ("));
}

TEST_CASE("a score that fails is reported with its layer and text") {
    const auto [name, cause] = GENERATE(table<std::string, std::string>({
        {"failing_score", "layer 1: status 1: no weights for this layer"},
        {"throwing_score", "layer 1: an exception escaped: thrown in score"},
    }));
    const auto plugin = Plugin::load(test_plugins / "loaded" / (name + ".so"));
    const auto error = error_of([&] { scores_of(*plugin, plugin->preset("seed")->values); });
    CHECK(error.phase == "score");
    CHECK(error.cause == cause);
}

TEST_CASE("a budget that fails is reported with its layer and text") {
    const auto [name, cause] = GENERATE(table<std::string, std::string>({
        {"failing_budget", "layer 3: status 1: no budget for this layer"},
        {"throwing_budget", "layer 3: an exception escaped: thrown in layer_budget"},
    }));
    const auto plugin = Plugin::load(test_plugins / "loaded" / (name + ".so"));
    REQUIRE(plugin->budgets_layers());
    const auto instance = plugin->create(plugin->preset("seed")->values);
    const auto error = error_of([&] { instance->layer_budget({sizeof(evl_budget_query), 3, 30, 2, 100, 0.5, 50}); });
    CHECK(error.phase == "budget");
    CHECK(error.cause == cause);
}

TEST_CASE("NaN passes the host: the caller who ranks looks for it") {
    const auto plugin = Plugin::load(test_plugins / "loaded" / "nan_score.so");
    CHECK(std::isnan(scores_of(*plugin, {8, 0.5})[2]));
}

TEST_CASE("bad plugins in a folder do not stop the others") {
    const std::vector<fs::path> folders{test_plugins / "refused", test_plugins / "written"};
    const PluginHost host(folders);
    CHECK(host.find("c_scorer"));
    CHECK(host.find("h2o"));
    CHECK(host.problems().size() == 41);
    CHECK(host.find("null_create") == nullptr);
    CHECK(host.folders()[0] == builtin_plugin_folder());
    CHECK(host.folders()[1] == folders[0]);
    CHECK(std::ranges::is_sorted(host.plugins(), {}, [](const auto& p) { return p->id(); }));
}

TEST_CASE("of two plugins with one id the built-in or else the first is used, and both files are named") {
    const std::vector<fs::path> folders{test_plugins / "taken"};
    const PluginHost host(folders);
    REQUIRE(host.problems().size() == 1);
    const auto& problem = host.problems()[0];
    CHECK(problem.phase == "find");
    CHECK_THAT(problem.what(), ContainsSubstring("the id 'h2o' is taken"));
    CHECK_THAT(problem.what(), ContainsSubstring((test_plugins / "taken" / "h2o_again.so").string()));
    CHECK_THAT(problem.what(), ContainsSubstring((builtin_plugin_folder() / "h2o.so").string()));
    CHECK(host.find("h2o")->name() != "Defective");

    PluginHost plain;
    CHECK(plain.problems().empty());
    CHECK_THAT(error_of([&] { plain.load(test_plugins / "taken" / "h2o_again.so"); }).what(),
               ContainsSubstring("the id 'h2o' is taken"));
    CHECK(plain.load(builtin_plugin_folder() / "h2o.so") == plain.find("h2o"));

    const std::vector<fs::path> twins{test_plugins / "tuned", test_plugins / "rebuilt"};
    const PluginHost both(twins);
    CHECK(both.find("tunable")->file() == test_plugins / "tuned" / "tunable.so");
    REQUIRE(both.problems().size() == 1);
    CHECK_THAT(both.problems()[0].what(), ContainsSubstring("rebuilt/tunable.so"));
}

TEST_CASE("a plugin that takes what is everybody's is refused by name, and no other loses anything") {
    const std::vector<fs::path> folders{test_plugins / "greedy"};
    const PluginHost host(folders), plain;
    CHECK(std::ranges::equal(host.plugins(), plain.plugins(), {}, &Plugin::file, &Plugin::file));
    std::map<std::string, std::string> refused;
    for (const PluginError& problem : host.problems()) {
        for (const auto& entry : fs::directory_iterator(folders[0]))
            if (problem.plugin.find(entry.path().string()) != std::string::npos)
                refused[entry.path().stem().string()] = problem.cause;
    }
    for (const char* id : {"all", "bound", "champion", "oracle"})
        CHECK_THAT(refused[id], ContainsSubstring(fmt::format("no plugin can have the id '{}'", id)));
    for (const char* id : {"h2o", "random"})
        CHECK_THAT(refused[id], ContainsSubstring(fmt::format("the id '{}' is taken by", id)));
    CHECK_THAT(refused["many_columns"], ContainsSubstring("column_count 300 is more than 256"));
    CHECK_THAT(refused["many_variants"], ContainsSubstring("columns, more than the 1024 of a library"));
    CHECK_THAT(refused["long_text"], ContainsSubstring("description has more than 16384 bytes"));
    CHECK_THAT(refused["wide_window"], ContainsSubstring("tensor_window 1152921504606846976 is more than"));
    CHECK_THAT(refused["bad_preset_column"], ContainsSubstring("preset 'seed': "));
    CHECK(refused.size() == 11);
}

TEST_CASE("folders come from the caller, EVICTLAB_PLUGIN_PATH and the program's own place, each searched once") {
    const auto path = (test_plugins / "written").string() + "::" + (test_plugins / "gone").string() + ":" +
                      builtin_plugin_folder().string();
    setenv("EVICTLAB_PLUGIN_PATH", path.c_str(), 1);
    const PluginHost host;
    unsetenv("EVICTLAB_PLUGIN_PATH");
    CHECK(host.folders().size() == 3);
    CHECK(host.find("sdk_batch"));
    REQUIRE(host.problems().size() == 1);
    CHECK_THAT(host.problems()[0].what(), ContainsSubstring("gone: find: the folder cannot be read"));
    CHECK(PluginHost().find("sdk_batch") == nullptr);
}

TEST_CASE("the built-in scorers are found, and say what they are") {
    const PluginHost host;
    CHECK(host.problems().empty());
    for (const char* id : {"streaming_llm", "h2o", "snapkv", "pyramidkv", "knorm", "tova", "position_corrected_h2o",
                           "random", "hybrid", "hybrid_start", "evolved"}) {
        INFO(id);
        const auto plugin = host.find(id);
        REQUIRE(plugin);
        CHECK(plugin->concurrent());
        CHECK(plugin->deterministic());
        CHECK_FALSE(plugin->description().empty());
        CHECK_FALSE(plugin->reference().empty());
        CHECK(plugin->file_sha256().size() == 64);
    }
}

TEST_CASE("a plugin in plain C is as good as any") {
    const auto plugin = Plugin::load(test_plugins / "written" / "c_scorer.so");
    CHECK(plugin->concurrent());
    CHECK(plugin->preset("soft")->values == std::vector<double>{4, 0.5});
    CHECK(plugin->preset("hard") == nullptr);
    const auto scores = scores_of(*plugin, {2, 1}); // position, age and attention are all 1 2 3, 10 20 30
    CHECK(std::isinf(scores[0]));
    CHECK(scores[1] == Approx(2.0 / 3));
    CHECK(scores[5] == Approx(30.0 / 31));
}

TEST_CASE("the C++ sugar: parameters of all types, defaults from the members, presets, prepare and exceptions") {
    const auto plugin = Plugin::load(test_plugins / "written" / "sdk_heads.so");
    CHECK(plugin->concurrent());
    CHECK_FALSE(plugin->deterministic());
    const auto parameters = plugin->parameters();
    REQUIRE(parameters.size() == 3);
    CHECK(parameters[0].type == EVL_REAL);
    CHECK(parameters[1].type == EVL_INTEGER);
    CHECK(parameters[2].type == EVL_BOOLEAN);
    CHECK(parameters[0].default_value == 2);
    CHECK(parameters[1].default_value == 3);
    CHECK_FALSE(parameters[1].evolvable);
    CHECK(plugin->preset("big")->values == std::vector<double>{8, 3, 0});
    CHECK(scores_of(*plugin, {2, 3, 0}) == std::vector<double>{5, 7, 9, 123, 143, 163});
    CHECK_THAT(error_of([&] {
                   plugin->create(std::vector<double>{0, 3, 0});
               }).cause,
               ContainsSubstring("scale must not be 0 here"));
    CHECK(error_of([&] { scores_of(*plugin, {2, 3, 1}); }).cause == "layer 1: status 1: " + std::string(255, 'x'));
    CHECK_THAT(error_of([&] { plugin->create(std::vector<double>{1}); }).cause,
               ContainsSubstring("1 values for 3 parameters"));
}

TEST_CASE("the C++ sugar: a scorer across heads with state of its own") {
    const auto plugin = Plugin::load(test_plugins / "written" / "sdk_batch.so");
    CHECK_FALSE(plugin->concurrent());
    const TestBatch batch(*plugin);
    const auto instance = plugin->create({});
    std::vector<double> scores(6);
    instance->score(batch.batch, scores.data());
    instance->score(batch.batch, scores.data());
    CHECK(scores == std::vector<double>{2011, 2022, 2033, 2011, 2022, 2033});
}

TEST_CASE("the C++ sugar: columns by parameters, budgets, and three rules under one id") {
    const auto plugin = Plugin::load(test_plugins / "written" / "sdk_budgets.so");
    CHECK(plugin->budgeted());
    CHECK(plugin->wants_tensors());
    CHECK(plugin->tensor_window() == 8);
    CHECK(plugin->budgets_layers());
    CHECK_FALSE(plugin->budgets_heads());
    CHECK_FALSE(plugin->wrapper());
    const auto names = [&](std::vector<double> values) {
        std::vector<std::string> list;
        for (const ColumnId id : plugin->columns(values)) list.push_back(columns::name(id));
        return list;
    };
    CHECK(names(plugin->default_values()) == std::vector<std::string>{"window_attn:16", "key_norm"});
    CHECK(names({64, 0, 0}) == std::vector<std::string>{"window_attn:64", "value_norm"});

    const auto rules = plugin->rules();
    REQUIRE(rules.size() == 4);
    CHECK(rules[0] == plugin);
    CHECK(rules[1]->preset("heads"));
    CHECK(rules[1]->budgets_heads());
    CHECK_FALSE(rules[1]->budgeted());
    CHECK(rules[1]->column_patterns().empty());
    CHECK(rules[2]->budgets_model());
    CHECK(rules[2]->model_facts() == 3);
    CHECK_FALSE(rules[1]->budgets_model());
    CHECK(rules[3]->threshold() == ThresholdRule{1, 0});
    CHECK(rules[3]->scores_model());
    CHECK(rules[3]->preset("matched")->matched());
    CHECK_FALSE(rules[3]->preset("threshold")->matched());
    CHECK_FALSE((rules[2]->threshold() || rules[2]->scores_model()));
}

TEST_CASE("an instance keeps its library loaded") {
    std::unique_ptr<ScorerInstance> instance;
    {
        const auto plugin = Plugin::load(test_plugins / "written" / "sdk_heads.so");
        instance = plugin->create(plugin->preset("big")->values);
    }
    const TestBatch batch(instance->plugin());
    std::vector<double> scores(6);
    instance->score(batch.batch, scores.data());
    CHECK(scores[0] == 11);
}

TEST_CASE("random is counter-based on seed, layer, head and position") {
    const PluginHost host;
    const auto random = host.find("random");
    const auto score = [&](double seed, std::uint32_t layer, std::size_t head, double position) {
        const double* columns[] = {&position, &position};
        const std::ptrdiff_t strides[] = {0, 0};
        const evl_batch batch{sizeof batch, layer, 30, 4, 1, 1, columns, strides, 0, 0, nullptr, 0, nullptr};
        std::vector<double> scores(4);
        random->create(std::vector<double>{seed, 0})->score(batch, scores.data());
        return scores[head];
    };
    CHECK(score(0, 0, 0, 0) == 0.12964558601379395);
    CHECK(score(0, 0, 0, 1) == 0.16526895761489868);
    CHECK(score(42, 0, 0, 0) == 0.7553887963294983);
    CHECK(score(42, 3, 1, 7) == 0.5418198108673096);
    CHECK(score(42, 29, 2, 296) == 0.9304156303405762);
}
