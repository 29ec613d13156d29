// evictlab-llama: a scorer inside llama.cpp, and what it costs and saves there. SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iostream>

#include "base/input/input.hpp"
#include "base/option_error.hpp"
#include "base/output/write_file.hpp"
#include "base/text/shown.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "engine/result.hpp"

namespace {

using namespace evictlab;
using namespace evictlab::engine;

constexpr std::string_view program = "evictlab-llama";
constexpr std::uint64_t most_bytes = 64 << 20; // of a prompt

std::vector<llama_token> read_tokens(const Options& options, const Model& model) {
    std::vector<llama_token> tokens;
    try {
        tokens = model.tokens(input::read_whole(options.prompt, most_bytes, input::Accept::files_and_pipes));
    } catch (const input::Problem& problem) {
        throw UsageError(fmt::format("prompt {} {}", text::named(options.prompt.string(), 200), problem.what()));
    }
    if (options.tokens > tokens.size())
        throw UsageError(fmt::format("--tokens is {}, but {} has only {}", options.tokens,
                                     text::named(options.prompt.string(), 200), tokens.size()));
    if (options.tokens > 0) tokens.resize(options.tokens);
    if (tokens.size() <= options.continuation)
        throw UsageError(fmt::format("{} tokens of {} leave no prompt in front of a continuation of {}", tokens.size(),
                                     text::named(options.prompt.string(), 200), options.continuation));
    const std::size_t all = tokens.size() + options.plan.generate,
                      most = static_cast<std::size_t>(llama_model_n_ctx_train(model.get()));
    if (all > most)
        throw UsageError(fmt::format("{} tokens with what is generated, but the model was made for {} at most: give "
                                     "--tokens N, or a shorter text",
                                     all, most));
    return tokens;
}

std::vector<Scorer> open_scorers(const Options& options, const Lab& lab) {
    std::vector<Scorer> scorers;
    for (const std::string& list : options.scorers)
        for (const std::string& text : lab.split(list)) {
            scorers.emplace_back(lab, text);
            check_scorer(scorers.back(), options.plan.cut.granularity, options.plan.every > 0);
        }
    return scorers;
}

int run(const std::vector<std::string>& arguments) {
    if (arguments.size() == 1 && (arguments.front() == "--version" || arguments.front() == "-V")) {
        cli::print(fmt::format("{} {} with llama.cpp {}\n", program, evl_version(), llama_version()));
        return cli::exit_ok;
    }
    const std::optional<Options> options = options_from(arguments);
    if (!options) return cli::exit_ok;
    const Lab lab(options->plugin_folders);
    for (const std::string& problem : lab.problems()) cli::complain(problem, program);
    const std::vector<Scorer> scorers = open_scorers(*options, lab);
    const Model model(options->model);
    const std::vector<llama_token> tokens = read_tokens(*options, model);
    const std::span<const llama_token> prompt = std::span(tokens).first(tokens.size() - options->continuation);
    prove_round_trip(model, prompt, options->plan.threads, options->plan.cache_type);

    std::uint64_t queries = 0;
    for (const Scorer& scorer : scorers) queries = std::max(queries, scorer.needs().queries);
    const Experiment experiment(model, options->plan, prompt, std::span(tokens).last(options->continuation), queries);
    std::vector<Evicted> rows;
    for (const Scorer& scorer : scorers) rows.push_back(experiment.run(scorer));
    const Result result{*options, model, prompt.size(), experiment.full(), rows};
    if (options->json) write_file(*options->json, to_json(result).dump(2) + "\n");
    cli::print(to_text(result));
    return cli::exit_ok;
}

int failed() {
    try {
        throw;
    } catch (const OptionError& error) {
        std::string flag = error.option;
        std::ranges::replace(flag, '_', '-');
        cli::complain(fmt::format("--{} {}", flag, error.problem), program);
        return cli::exit_usage;
    } catch (const std::bad_alloc&) {
        cli::complain("out of memory; try fewer tokens", program);
        return cli::exit_failure;
    } catch (const std::exception& error) {
        cli::complain(error.what(), program);
        return dynamic_cast<const UsageError*>(&error) != nullptr ? cli::exit_usage : cli::exit_failure;
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        const int code = run({argv + 1, argv + argc});
        if (const int error = cli::output_error(); error != 0)
            throw Error(fmt::format("cannot write to standard output: {}", std::strerror(error)));
        return code;
    } catch (...) {
        return failed();
    }
}
