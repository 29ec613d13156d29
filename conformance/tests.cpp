// SPDX-License-Identifier: MIT
#include "conformance/tests.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace evictlab::conformance {
namespace {

constexpr std::string_view finite_scores = "a score for every token of every head, and none of them NaN";
constexpr std::string_view guard_division =
    "guard what has no value there: divide by max(x, tiny), take the logarithm of x + tiny, compare before you take a "
    "root";

constexpr Test all[] = {
    {"library", "a shared library that the loader takes",
     "build it with -shared -fPIC, for this machine, linked to all "
     "that it uses (ldd tells what is missing)",
     "", library},
    {"symbol", "the exported symbol " EVL_SYMBOL,
     "end the source with EVICTLAB_SCORER(Struct), or define `const "
     "evl_plugin evictlab_scorer` with C linkage and default visibility",
     "library", symbol},
    {"header", "the magic number, major version and size of this ABI",
     "begin the object with EVL_HEADER and build it "
     "anew against this SDK",
     "symbol", header},
    {"descriptor", "a description that the host takes: names, flags, parameters, presets, functions",
     "see "
     "evictlab/scorer.h at the field that is named",
     "header", descriptor},
    {"version", "a semantic version, such as 1.2.0", "set the field version", "descriptor", version},
    {"texts", "a name, a description and helps of one line, of at most 200 bytes",
     "say what the rule, the parameter or "
     "the preset is, in one line",
     "descriptor", texts},
    {"standing", "of published presets a reference; formulas and bases that can be read, bases of wrappers alone",
     "set the field reference; compare with what evictlab/scorer.h says of the fields of evl_preset", "descriptor",
     standing},
    {"columns", "columns that there are, for the defaults and each preset, none twice",
     "`evictlab plugins columns` "
     "lists them",
     "descriptor", columns_known},
    {"unknown-extension", "null for an extension that it does not know",
     "compare the id that extension() is given with "
     "each that you have, and return NULL at its end",
     "descriptor", unknown_extension},
    {"create", "an instance for the defaults and for each preset",
     "let create() fail only for values that it cannot "
     "work with, and say why in error->text",
     "descriptor", create},
    {"parameter-ends", "an instance that scores, or a refusal in words, with each parameter at its ends",
     "narrow the "
     "range of the parameter, or refuse the value in create() with a text",
     "create", parameter_ends},
    {"ordinary-batch", finite_scores, "write scores[h * tokens + i] for all h < heads and i < tokens, and nothing else",
     "create", ordinary_batch},
    {"many-instances", "200 instances at the same time",
     "keep what an instance needs in the instance, and nothing in "
     "globals",
     "ordinary-batch", many_instances},
    {"one-token", "a score, or a refusal by a status with a text", "do not take tokens - 1 for something above 0",
     "ordinary-batch", one_token},
    {"many-tokens", "scores for 100,000 tokens within the time-out and the memory limit",
     "let time and memory grow "
     "with the number of tokens, not with its square",
     "ordinary-batch", many_tokens},
    {"one-head", "scores for one head of a model with one layer", "do not divide by num_layers - 1 or heads - 1",
     "ordinary-batch", one_head},
    {"equal-values", finite_scores, guard_division, "ordinary-batch", equal_values},
    {"zeros", finite_scores, guard_division, "ordinary-batch", zeros},
    {"denormals", finite_scores, guard_division, "ordinary-batch", denormals},
    {"infinite-base", "scores also where the wrapped scorer says +inf (always keep) or -inf (evict first)",
     "pass "
     "infinite scores through: inf - inf and 0 * inf are NaN",
     "ordinary-batch", infinite_base},
    {"layer-budgets",
     "a budget of at most the layer's tokens, for any share removed, and with EVL_EQUAL_LAYERS one for all layers",
     "clamp it to [0, tokens]; leave that flag out where layers differ", "create", layer_budgets},
    {"head-budgets", "budgets of at most the tokens, for any share removed", "clamp each to [0, tokens]",
     "ordinary-batch", head_budgets},
    {"model-budgets",
     "budgets of at most the tokens, and facts that are numbers, for any share removed and any layers held",
     "clamp each to [0, tokens]; do not count on all layers of the model being there", "ordinary-batch", model_budgets},
    {"model-scores", "scores that are numbers once all layers are scored, whichever are held",
     "do not count on all layers of the model being there, nor on scores being finite", "ordinary-batch", model_scores},
    {"deterministic", "equal bits for equal batches, in another instance too",
     "leave EVL_DETERMINISTIC away, or seed "
     "what is random from layer, head and position",
     "ordinary-batch", deterministic},
    {"no-history", "scores that do not depend on the batches scored before",
     "begin each call anew; what was seen so "
     "far is in the columns",
     "ordinary-batch", no_history},
    {"layout",
     "the same scores however the columns lie: head_stride is 0 where all heads share one, or more than "
     "tokens",
     "read columns[c][h * head_stride[c] + i]", "ordinary-batch", layout},
    {"newer-host", "the same scores from a batch with fields appended", "do not compare struct_size for equality",
     "ordinary-batch", newer_host},
    {"concurrent", "the same scores from calls that overlap on one instance",
     "leave EVL_CONCURRENT away (in C++: make "
     "score() not const), or change nothing in a call",
     "ordinary-batch", concurrent},
    {"parallel-instances", "the same scores from instances in several threads", "keep nothing that changes in globals",
     "ordinary-batch", parallel_instances},
    {"undeclared-columns", "no look at a column behind those that it declared", "declare the column", "ordinary-batch",
     undeclared_columns},
    {"unused-columns", "scores that follow from each column that it declared",
     "take the column out: the host computes "
     "it for nothing",
     "ordinary-batch", unused_columns},
    {"batch-kept", "a batch that is as it was", "write to the scores alone", "ordinary-batch", batch_kept},
    {"memory-given-back", "as much memory in use after 200 instances as before",
     "free in destroy() what create() and "
     "score() took",
     "ordinary-batch", memory_given_back},
    {"nothing-left", "as many open files and threads after an instance as before", "close and join in destroy()",
     "ordinary-batch", nothing_left_behind},
    {"quiet", "nothing on standard output or standard error", "report what is wrong by a status and error->text",
     "ordinary-batch", quiet},
    {"environment", "the floating-point mode and the locale as they were", "put them back before you return",
     "ordinary-batch", environment_kept},
};

} // namespace

std::span<const Test> tests() { return all; }

const Test* find_test(std::string_view name) {
    const auto at = std::ranges::find(all, name, &Test::name);
    return at == std::end(all) ? nullptr : at;
}

Finding run_test(const Test& test, std::shared_ptr<const SealedLibrary> library, Process& process) {
    try {
        return test.run(Subject{std::move(library), &process, {}});
    } catch (const PluginError& error) {
        return failed(error.phase == "load" ? error.cause : error.phase + ": " + error.cause);
    } catch (const std::exception& error) {
        return failed(error.what());
    }
}

} // namespace evictlab::conformance
