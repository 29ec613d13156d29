// SPDX-License-Identifier: MIT
#include "framework/plugin/project_files.hpp"

#include <array>

namespace evictlab {
namespace {

constexpr std::string_view cpp_cmake = R"text(# SPDX-License-Identifier: MIT
cmake_minimum_required(VERSION 3.22)
project(@NAME@ LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Looked for where the program that wrote this project lay. Elsewhere: cmake -DCMAKE_PREFIX_PATH=PREFIX ...
find_package(evictlab REQUIRED HINTS "@PREFIX@")
evictlab_add_scorer(@NAME@ @NAME@.cpp)
)text";

constexpr std::string_view cpp_source =
    R"text(// @NAME@: sinks and the newest tokens first, then the attention received per query.
#include <evictlab/scorer.hpp>

#include <cmath>

struct @STRUCT@ {
    // Parameters: the members' initial values are the defaults.
    int sinks = 4;
    int window = 16;
    double power = 1;

    static constexpr evictlab::Info info{.id = "@NAME@",
                                         .name = "@STRUCT@",
                                         .version = "0.1.0",
                                         .description = "sinks and newest: keep; else cumulative_attn / age^power",
                                         .reference = ""};
    // What the scorer sees; `evictlab plugins columns` lists all there is.
    static constexpr evictlab::Columns columns{"position", "relative_pos", "cumulative_attn"};
    static constexpr evictlab::Parameter<@STRUCT@> parameters[] = {
        {&@STRUCT@::sinks, {.key = "sinks", .help = "first tokens always kept", .max = 64}},
        {&@STRUCT@::window, {.key = "window", .help = "newest tokens always kept", .max = 4096}},
        {&@STRUCT@::power, {.key = "power", .help = "of the age", .max = 4}}};
    // A preset that is a published method says so behind its values, with .reference above: Standing::published.
    static constexpr evictlab::Preset presets[] = {{"no_window", "attention alone", {{"sinks", 0}, {"window", 0}}}};

    // One KV head of one layer: a score for each cached token, higher = keep.
    void score(evictlab::Head<@STRUCT@> head, std::span<double> out) const {
        const auto position = head["position"], age = head["relative_pos"], attention = head["cumulative_attn"];
        for (std::size_t i = 0; i < out.size(); ++i) {
            const bool kept = position[i] < sinks || age[i] < window;
            out[i] = kept ? evictlab::keep : attention[i] / std::pow(age[i] + 1, power);
        }
    }
};
EVICTLAB_SCORER(@STRUCT@)
)text";

constexpr std::string_view cpp_readme = R"text(# @NAME@

A KV-cache eviction scorer for Evictlab. Build it and see where it stands:

    cmake -S . -B build
    cmake --build build
    evictlab bench --suite micro --scorers @NAME@,h2o@seed,streaming_llm@seed --plugin-dir build

Other parameters or the preset: `@NAME@:window=32,power=0.5`, `@NAME@@no_window`. The rule is in `@NAME@.cpp`. Whether it
keeps the contract with the host, and how to mend what does not:

    evictlab check build/@NAME@.so

`./check` does all of the above and fails if anything is wrong; it suits a CI job.
)text";

constexpr std::string_view cmake_check = R"text(#!/bin/sh
# Builds the scorer, tests that it keeps the contract and measures it once. PREFIX=... names an Evictlab installation that is not in the usual places.
set -eu
cd "$(dirname "$0")"
cmake -S . -B build ${PREFIX:+-DCMAKE_PREFIX_PATH="$PREFIX"} > /dev/null
cmake --build build
"${PREFIX:+$PREFIX/bin/}evictlab" check build/@NAME@.so
"${PREFIX:+$PREFIX/bin/}evictlab" bench --suite micro --scorers @NAME@ --plugin-dir build
echo "@NAME@: all is well"
)text";

constexpr std::array cpp_files{ProjectFile{"CMakeLists.txt", cpp_cmake}, ProjectFile{"@NAME@.cpp", cpp_source},
                               ProjectFile{"README.md", cpp_readme}, ProjectFile{"check", cmake_check, true}};

constexpr std::string_view c_cmake = R"text(# SPDX-License-Identifier: MIT
cmake_minimum_required(VERSION 3.22)
project(@NAME@ LANGUAGES C)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# Looked for where the program that wrote this project lay. Elsewhere: cmake -DCMAKE_PREFIX_PATH=PREFIX ...
find_package(evictlab REQUIRED HINTS "@PREFIX@")
evictlab_add_scorer(@NAME@ @NAME@.c)
)text";

constexpr std::string_view c_source =
    R"text(/* @NAME@: sinks and the newest tokens first, then the attention received per query. */
#include <evictlab/scorer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    double sinks, window;
} mine;

/* Values come in the order of `params`. */
static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    mine* made = malloc(sizeof *made);
    if (!made) {
        strcpy(error->text, "out of memory");
        return EVL_FAILED;
    }
    made->sinks = values[0];
    made->window = values[1];
    *instance = (evl_instance*)made;
    return EVL_OK;
}

/* One layer: a score for each cached token of each head, higher = keep. */
static evl_status score(evl_instance* instance, const evl_batch* batch, double* scores, evl_error* error) {
    const mine* m = (const mine*)instance;
    (void)error;
    for (uint32_t h = 0; h < batch->heads; ++h) {
        const double* position = batch->columns[0] + h * batch->head_stride[0];
        const double* age = batch->columns[1] + h * batch->head_stride[1];
        const double* attention = batch->columns[2] + h * batch->head_stride[2];
        double* out = scores + (size_t)h * batch->tokens;
        for (uint32_t i = 0; i < batch->tokens; ++i) {
            const int kept = position[i] < m->sinks || age[i] < m->window;
            out[i] = kept ? INFINITY : attention[i] / (age[i] + 1);
        }
    }
    return EVL_OK;
}

static void destroy(evl_instance* instance) { free(instance); }

/* What the scorer sees; `evictlab plugins columns` lists all there is. */
static const char* const columns[] = {"position", "relative_pos", "cumulative_attn"};
static const evl_param params[] = {
    {"sinks", "sinks", "first tokens always kept", 0, 64, 4, EVL_INTEGER, 0, 1, 0},
    {"window", "window", "newest tokens always kept", 0, 4096, 16, EVL_INTEGER, 0, 1, 0},
};
static const double no_window[] = {0, 0};
static const evl_preset presets[] = {{.name = "no_window", .help = "attention alone", .values = no_window}};

const evl_plugin evictlab_scorer = {
    EVL_HEADER,
    .id = "@NAME@",
    .name = "@STRUCT@",
    .version = "0.1.0",
    .description = "sinks and newest: keep; else cumulative_attn / (age + 1)",
    .reference = "",
    .flags = EVL_DETERMINISTIC | EVL_CONCURRENT,
    .column_count = sizeof columns / sizeof *columns,
    .columns = columns,
    .param_count = sizeof params / sizeof *params,
    .param_size = sizeof(evl_param),
    .params = params,
    .preset_count = sizeof presets / sizeof *presets,
    .preset_size = sizeof(evl_preset),
    .presets = presets,
    .create = create,
    .score = score,
    .destroy = destroy,
};
)text";

constexpr std::string_view c_readme = R"text(# @NAME@

A KV-cache eviction scorer for Evictlab. Build it and see where it stands:

    cmake -S . -B build
    cmake --build build
    evictlab bench --suite micro --scorers @NAME@,h2o@seed,streaming_llm@seed --plugin-dir build

Other parameters or the preset: `@NAME@:window=32,sinks=8`, `@NAME@@no_window`. The rule is in `@NAME@.c`. Whether it
keeps the contract with the host, and how to mend what does not:

    evictlab check build/@NAME@.so

`./check` does all of the above and fails if anything is wrong; it suits a CI job.
)text";

constexpr std::array c_files{ProjectFile{"CMakeLists.txt", c_cmake}, ProjectFile{"@NAME@.c", c_source},
                             ProjectFile{"README.md", c_readme}, ProjectFile{"check", cmake_check, true}};

} // namespace

std::span<const ProjectFile> project_files(Language language) {
    switch (language) {
    case Language::c:
        return c_files;
    case Language::rust:
        return rust_project_files();
    case Language::cpp:
        break;
    }
    return cpp_files;
}

} // namespace evictlab
