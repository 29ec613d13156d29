// Plugins and hosts of different minor versions read what both know.
// SPDX-License-Identifier: MIT
#include <dlfcn.h>

#include "framework/plugin/descriptor.hpp"
#include "tests/support/catch.hpp"

using namespace evictlab;

namespace {

const std::filesystem::path folder = std::filesystem::path(EVICTLAB_TEST_PLUGINS) / "abi";

double score_of(const Plugin& plugin, std::span<const double> values) {
    const double column[] = {0.5};
    const double* columns[] = {column};
    const std::ptrdiff_t strides[] = {0};
    const evl_batch batch{sizeof batch, 0, 1, 1, 1, 1, columns, strides, 0, 0, nullptr, 0, nullptr};
    double score = 0;
    plugin.create(values)->score(batch, &score);
    return score;
}

// A host of a later minor version, whose struct has grown.
struct GrownPlugin : evl_plugin {
    evl_status (*warm_up)(evl_instance*);
};

} // namespace

TEST_CASE("a plugin compiled with the header of ABI 1.0 loads and scores") {
    const auto plugin = Plugin::load(folder / "older.so");
    CHECK(plugin->id() == "older");
    CHECK(score_of(*plugin, plugin->preset("seed")->values) == 7.5);
}

TEST_CASE("a host that knows more fields finds those of an older plugin empty") {
    void* library = dlopen((folder / "older.so").c_str(), RTLD_NOW);
    REQUIRE(library);
    const auto* exported = static_cast<const evl_plugin*>(dlsym(library, EVL_SYMBOL));
    const auto grown = common_prefix<GrownPlugin>(exported, exported->struct_size);
    CHECK(std::string(grown.id) == "older");
    CHECK(grown.extension == nullptr);
    CHECK(grown.warm_up == nullptr);
    dlclose(library);
}

TEST_CASE("a plugin of a later minor version, its structs larger, loads and scores") {
    const auto plugin = Plugin::load(folder / "newer.so");
    REQUIRE(plugin->parameters().size() == 2);
    CHECK(plugin->parameters()[1].key == "b");
    CHECK(plugin->parameters()[1].default_value == 2);
    REQUIRE(plugin->presets().size() == 2);
    CHECK(score_of(*plugin, plugin->preset("two")->values) == 11);
}

TEST_CASE("a plugin of ABI 1.1 reads nothing behind a batch of ABI 1.0") {
    const auto plugin = Plugin::load(std::filesystem::path(EVICTLAB_TEST_PLUGINS) / "written" / "sdk_budgets.so");
    const auto instance = plugin->create(plugin->default_values());
    const double values[] = {5, 6, 7};
    const double* columns[] = {values, values};
    const std::ptrdiff_t strides[] = {0, 0};
    evl_tensors tensors{};
    tensors.dim = 64;
    evl_batch batch{sizeof batch, 0, 1, 1, 3, 3, columns, strides, 0.75, 10, &tensors, 0, nullptr};
    double scores[3];
    instance->score(batch, scores);
    CHECK(std::vector<double>(scores, scores + 3) == std::vector<double>{0.75, 10, 64});
    batch.struct_size = offsetof(evl_batch, removed_fraction);
    instance->score(batch, scores);
    CHECK(std::vector<double>(scores, scores + 3) == std::vector<double>{0, 0, -1});
}
