// SPDX-License-Identifier: MIT
#include "engine/program/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "base/option_error.hpp"
#include "base/text/number.hpp"
#include "base/text/suggestion.hpp"
#include "cli/command.hpp"
#include "cli/shape_options.hpp"
#include "cli/shared_options.hpp"
#include "engine/program/documents.hpp"

namespace evictlab::engine {
namespace {

namespace po = boost::program_options;

constexpr const char* usage =
    "Usage: evictlab-llama MODEL.gguf --prompt FILE --scorer S (--retention R | --keep K | --cache C) [OPTION...]\n"
    "       evictlab-llama MODEL.gguf SUITE_OR_MANIFEST --serve [OPTION...]\n\n"
    "Evicts inside an unmodified llama.cpp: runs the prompt, drops the cached tokens that a scorer ranks lowest, and "
    "goes\n"
    "on from a smaller cache. Says how far that is from the run without eviction, and what it saves. With --serve it "
    "is a\n"
    "judge for searches: it answers on standard output what is asked on standard input.";

constexpr const char* examples =
    "  evictlab-llama SmolLM2.gguf --prompt book.txt --scorer snapkv@kvpress --retention 0.25\n"
    "  evictlab-llama SmolLM2.gguf --prompt book.txt --tokens 1088 --continuation 64 --keep 256 \\\n"
    "    --compare snapkv@kvpress,streaming_llm@kvpress,random --json figures.json\n"
    "  evictlab-llama SmolLM2.gguf --prompt book.txt --scorer snapkv@kvpress --keep 512 --every 64 --generate 512\n"
    "  evictlab-llama SmolLM2.gguf --prompt book.txt --scorer snapkv@kvpress --retention 0.5 --granularity model\n"
    "  evictlab-llama SmolLM2.gguf --prompt book.txt --scorer snapkv@kvpress --cache 2048 --every 512\n"
    "  evictlab evolve --suite smollm2-full --verdict 'evictlab-llama SmolLM2.gguf smollm2-full --serve'\n";

po::options_description described() {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    const auto several = [](const char* name) {
        return po::value<std::vector<std::string>>()->composing()->value_name(name);
    };
    po::options_description options("Options");
    options.add_options()("prompt", text("FILE"), "the text that is read")(
        "scorer", text("S"), "what ranks the cached tokens: a plugin, preset, wrapper or formula")(
        "serve",
        "answer requests about a suite's train and valid documents, one JSON object a line (evictlab-judge/1)")(
        "workers", text("N"), "with --serve: documents that are judged at once (default: one a processor)")(
        "compare", several("A,B,..."),
        "scorers to compare on the same prompt, in one table; context_shift is what llama.cpp does by itself")(
        "retention", several("R"),
        "the share of the prompt's tokens that each head keeps, above 0 and up to 1; several, as 0.1,0.5, one after "
        "another")("keep", several("K"), "how many tokens each head keeps, instead of a share")(
        "every", text("N"), "evict again after each N tokens behind the prompt, to as many cells")(
        "cache", text("C"),
        "instead of a share: C cells in all, through which a prompt of any length goes, too, --every N tokens at a "
        "time")("generate", text("N"),
                "tokens that the model says behind the prompt (default: 64, with --continuation 0)")(
        "continuation", text("N"),
        "hold the last N tokens of the text back and judge the predictions along them (default: along what the model "
        "says without eviction)")("tokens", text("N"), "read no more than the first N tokens of the file")(
        "cache-type", text("T"), "of keys and values: f16 (default), bf16 or f32")("threads", text("N"),
                                                                                   "default: one a processor")(
        "calibration", text("FILE"), "what evictlab-calibrate learned of the model, for scorers that read it")(
        "plugin-dir", several("DIR"), "where to look for plugins, too")(
        "json", text("FILE"), "write the figures there")("version,V", "show the version");
    cli::add_shape_options(options);
    return options;
}

std::size_t processors() { return std::max(1U, std::thread::hardware_concurrency()); }

std::size_t size_from(const po::variables_map& values, const char* option, std::size_t otherwise, std::size_t least) {
    if (!values.contains(option)) return otherwise;
    const std::string& typed = values[option].as<std::string>();
    const auto number = text::number<std::size_t>(option, typed, "a whole number");
    if (number < least) throw OptionError(option, fmt::format("is {}, but must be {} or more", typed, least));
    return number;
}

std::vector<Budget> budgets_from(const po::variables_map& values) {
    if (values.count("retention") + values.count("keep") + values.count("cache") != 1)
        throw UsageError("give one of --retention R, --keep K and --cache C: how many tokens stay");
    std::vector<Budget> budgets;
    for (const std::size_t tokens : cli::keep_from(values)) budgets.push_back({0, tokens});
    for (const double share : cli::retentions_from(values, {})) budgets.push_back({share, 0});
    return budgets;
}

/// The place of what was typed among the names; 0 where nothing was.
std::size_t choice_from(const po::variables_map& values, const char* option, const std::vector<std::string>& names,
                        const char* kind) {
    if (!values.contains(option)) return 0;
    const std::string& typed = values[option].as<std::string>();
    const auto at = std::ranges::find(names, typed);
    if (at == names.end())
        throw OptionError(option, fmt::format("is '{}'{}", typed, text::what_there_is(typed, names, kind)));
    return static_cast<std::size_t>(at - names.begin());
}

/// What the run with a prompt and the service have in common.
Plan common_plan_from(const po::variables_map& values, std::size_t threads) {
    Plan plan;
    plan.cut.shape = cli::shape_from(values);
    constexpr std::array types{GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_F32};
    plan.cache_type = types[choice_from(values, "cache-type", {"f16", "bf16", "f32"}, "type of caches")];
    plan.threads = static_cast<int>(size_from(values, "threads", threads, 1));
    if (plan.threads > 512) throw OptionError("threads", "must be from 1 to 512");
    plan.cut.threads = plan.threads;
    return plan;
}

Plan plan_from(const po::variables_map& values, std::size_t continuation) {
    Plan plan = common_plan_from(values, processors());
    plan.budgets = budgets_from(values);
    plan.every = size_from(values, "every", 0, 1);
    plan.cache = size_from(values, "cache", 0, 2);
    if (plan.cache > 0 && (plan.every == 0 || plan.every >= plan.cache))
        throw UsageError("--cache C needs --every N, below C: so many tokens go when the cache is full");
    if (plan.every > 0 && plan.cut.shape.block > 1)
        throw UsageError("--block is for a prompt that is evicted from once, and not for --every and --cache: once "
                         "tokens are gone, blocks of cells are not those of the text");
    plan.generate = size_from(values, "generate", continuation > 0 ? 0 : 64, 0);
    if (plan.generate == 0 && continuation == 0)
        throw UsageError("nothing follows the prompt: give --generate N or --continuation N");
    return plan;
}

void read_service(const po::variables_map& values, Options& options) {
    const auto& typed = values["model"].as<std::vector<std::string>>();
    if (typed.size() != 2) throw UsageError("--serve needs a model and a suite or manifest of documents; see --help");
    for (const char* other : {"prompt", "scorer", "compare", "retention", "keep", "cache", "every", "generate", "json",
                              "block", "block-score", "sinks", "recent"})
        if (values.contains(other))
            throw UsageError(fmt::format("--{} is not for --serve, where each request says what is asked", other));
    options.serve = true;
    options.suite = typed[1];
    options.plan = common_plan_from(values, 1);
    options.workers = size_from(
        values, "workers", std::max<std::size_t>(1, processors() / static_cast<std::size_t>(options.plan.threads)), 1);
    if (options.workers > 512) throw OptionError("workers", "must be from 1 to 512");
    const TextSizes usual;
    options.continuation = size_from(values, "continuation", usual.continuation, 1);
    options.tokens = size_from(values, "tokens", usual.prompt + options.continuation, options.continuation + 1);
}

void read_run(const po::variables_map& values, Options& options) {
    if (values["model"].as<std::vector<std::string>>().size() != 1)
        throw UsageError("give one model, a GGUF file; see --help");
    if (values.contains("workers")) throw UsageError("--workers is for --serve");
    if (!values.contains("prompt")) throw UsageError("no prompt given: add --prompt FILE");
    options.prompt = values["prompt"].as<std::string>();
    if (values.contains("scorer")) options.scorers.push_back(values["scorer"].as<std::string>());
    if (values.contains("compare"))
        for (const std::string& list : values["compare"].as<std::vector<std::string>>())
            options.scorers.push_back(list);
    if (options.scorers.empty()) throw UsageError("no scorer given: add --scorer S, or --compare A,B,...");
    if (values.contains("json")) options.json = values["json"].as<std::string>();
    options.tokens = size_from(values, "tokens", 0, 1);
    options.continuation = size_from(values, "continuation", 0, 0);
    options.plan = plan_from(values, options.continuation);
}

} // namespace

std::optional<Options> options_from(const std::vector<std::string>& arguments) {
    const auto parsed = cli::parse_options(arguments, described(), "model", usage, examples);
    if (!parsed) return std::nullopt;
    const po::variables_map& values = *parsed;
    if (values["model"].as<std::vector<std::string>>().empty())
        throw UsageError("give one model, a GGUF file; see --help");
    Options options;
    options.model = values["model"].as<std::vector<std::string>>().front();
    if (values.contains("plugin-dir"))
        for (const std::string& folder : values["plugin-dir"].as<std::vector<std::string>>())
            options.plugin_folders.emplace_back(folder);
    if (values.contains("calibration")) options.calibration = values["calibration"].as<std::string>();
    if (values.contains("serve"))
        read_service(values, options);
    else
        read_run(values, options);
    return options;
}

} // namespace evictlab::engine
