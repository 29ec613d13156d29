// evictlab-llama: a scorer inside llama.cpp, and what it costs and saves there. SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/digest/digest.hpp"
#include "base/input/input.hpp"
#include "base/output/write_file.hpp"
#include "base/text/shown.hpp"
#include "cli/command.hpp"
#include "cli/made.hpp"
#include "cli/outcome.hpp"
#include "cli/output.hpp"
#include "engine/program/result.hpp"
#include "engine/program/service.hpp"

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

using Policies = std::vector<std::unique_ptr<Policy>>;

/// By scorers at once, so that a wrong name is told before a model is read; places of others stay empty.
Policies open_scorers(const Options& options, const std::vector<std::string>& texts, const Lab& lab) {
    Policies policies;
    for (const std::string& text : texts) {
        if (ContextShift::is_named_by(text))
            policies.push_back(nullptr);
        else
            policies.push_back(
                std::make_unique<ScorerPolicy>(Scorer(lab, text), options.plan.cut, options.plan.every > 0));
    }
    return policies;
}

int compare_scorers(const Options& options, const Lab& lab) {
    std::vector<std::string> texts;
    for (const std::string& list : options.scorers)
        for (const std::string& text : lab.split(list)) texts.push_back(text);
    Policies policies = open_scorers(options, texts, lab);
    const Model model(options.model);
    for (std::size_t i = 0; i < texts.size(); ++i)
        if (!policies[i]) policies[i] = std::make_unique<ContextShift>(texts[i], model);
    const std::vector<llama_token> tokens = read_tokens(options, model);
    const std::span<const llama_token> prompt = std::span(tokens).first(tokens.size() - options.continuation);
    prove_round_trip(model, prompt, {0, options.plan.threads, options.plan.cache_type});

    std::uint64_t queries = 0;
    for (const auto& policy : policies) queries = std::max(queries, policy->queries());
    const Experiment experiment(model, options.plan, prompt, std::span(tokens).last(options.continuation), queries);
    std::vector<Evicted> rows;
    for (const auto& policy : policies)
        for (Evicted& row : experiment.run(*policy)) rows.push_back(std::move(row));
    const Result result{options, model, prompt.size(), experiment.full(), rows};
    if (options.json) write_file(*options.json, cli::with_made(to_json(result)).dump(2) + "\n");
    cli::print(to_text(result));
    return cli::exit_ok;
}

/// All that figures follow from, so that answers can be kept under it.
std::string name_of_judge(const Options& options, const std::string& sha256, const DocumentSet& documents) {
    const Plan& plan = options.plan;
    std::string name = fmt::format("{} (sha256 {}, in llama.cpp {} by evictlab-llama {}, cache {}), suite {} {}",
                                   options.model.filename().string(), sha256, llama_version(), evl_version(),
                                   ggml_type_name(plan.cache_type), documents.suite, documents.hash);
    if (const Shape& shape = plan.cut.shape; !shape.usual())
        name += fmt::format(", granularity {} joined by {}", to_string(shape.granularity), to_string(shape.join));
    if (options.calibration)
        name += fmt::format(", calibration sha256:{}", sha256_hex_of_file(*options.calibration).value_or(""));
    return text::line(name);
}

int serve_requests(const Options& options, const Lab& lab) {
    const int answers = ::dup(STDOUT_FILENO); // what a library might print goes to standard error
    if (answers < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        throw Error(fmt::format("cannot write to standard output: {}", std::strerror(errno)));
    const Model model(options.model);
    const std::string sha256 = sha256_hex_of_file(options.model).value_or("");
    DocumentSet documents = documents_to_search_by(options.suite, model, sha256,
                                                   {options.tokens - options.continuation, options.continuation});
    const Plan& plan = options.plan;
    prove_round_trip(model, documents.documents.front().tokens, {0, plan.threads, plan.cache_type});
    const ServiceOptions service{name_of_judge(options, sha256, documents), options.workers};
    Judge judge(model, std::move(documents), plan.cut, plan.threads, plan.cache_type);
    serve(judge, lab, service, STDIN_FILENO, answers);
    return cli::exit_ok;
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
    if (options->calibration) lab.calibrate(*options->calibration);
    return options->serve ? serve_requests(*options, lab) : compare_scorers(*options, lab);
}

} // namespace

int main(int argc, char** argv) {
    return cli::outcome(program, "try fewer tokens", [&] { return run({argv + 1, argv + argc}); });
}
