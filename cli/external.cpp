// SPDX-License-Identifier: MIT
#include "cli/external.hpp"

#include <fmt/format.h>

#include "base/option_error.hpp"
#include "base/text/quoting.hpp"
#include "cli/search_options.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::cli {

using evolution::OptionNeeds;

namespace {

/// As typed, else what it is already.
void read_timeout(const po::variables_map& values, const char* option, double& seconds) {
    read_number<double>(values, option, "a number of seconds", seconds);
    if (!(seconds > 0 && seconds <= 86400)) throw OptionError(option, "must be above 0 and at most 86400 seconds");
}

/// The command of an external process, where it is typed, and the options that have a meaning with it alone.
void read_command(const po::variables_map& values, const char* process, OptionNeeds needs, evolution::RunConfig& config,
                  std::string& command) {
    const bool named = values.contains(process);
    if (named) command = values[process].as<std::string>();
    for (const evolution::SearchOption& option : evolution::search_options()) {
        if (option.needs != needs) continue;
        const std::string flag = flag_of(option.key);
        if (!named && values.contains(flag)) throw OptionError(flag, fmt::format("belongs to --{}", process));
        if (named && number_of(config, option) == 0) ask_usually(config, option);
    }
    read_search_options(values, config, needs);
    for (const evolution::SearchOption& option : evolution::search_options())
        if (named && option.needs == needs && option.asked && number_of(config, option) == 0)
            throw OptionError(flag_of(option.key),
                              fmt::format("must be at least 1; leave --{} away to ask nobody", process));
}

std::chrono::milliseconds milliseconds_of(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

state::AnswerJournal journal(const std::filesystem::path& state_file, const char* ending, bool resume) {
    const std::filesystem::path file = state_file.string() + ending;
    return resume ? state::AnswerJournal::resume(file) : state::AnswerJournal::create(file);
}

evolution::ProposalRequest about(const evolution::RunSetup& setup, const evolution::SearchSuites& search) {
    evolution::ProposalRequest request;
    request.suite = setup.identity.suite;
    request.measure = setup.identity.measure;
    for (const auto& retentions : search.retentions)
        request.retentions.insert(request.retentions.end(), retentions.begin(), retentions.end());
    for (const ColumnId id : setup.config.readable())
        request.columns.push_back({columns::name(id), columns::info(id).help});
    return request;
}

std::vector<std::string> train_documents(const evolution::SearchSuites& search) {
    std::vector<std::string> names;
    for (const Suite& suite : search.suites)
        for (const TracePtr& trace : suite.search_traces().train) names.push_back(trace->name());
    return names;
}

} // namespace

void add_external_options(po::options_description& options) {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    options.add_options()("verdict", text("COMMAND"),
                          "judge the best candidates inside the model by this process (docs/evolution.md), such as "
                          "'evictlab-verdict MODEL SUITE --serve'; promotion then needs its verdict");
    add_search_options(options, OptionNeeds::judge);
    options.add_options()("verdict-timeout", text("S"), "the judge is lost after S seconds of silence (300)");
    options.add_options()("proposer", text("COMMAND"), "take candidates from this process, too (docs/proposers.md)");
    add_search_options(options, OptionNeeds::proposer);
    options.add_options()("proposer-timeout", text("S"), "a generation goes on without it after S seconds (120)");
}

std::string external_options_text(const po::variables_map& values) {
    const auto typed = [&](const char* option) {
        return values.contains(option)
                   ? fmt::format(" --{} {}", option, text::shell_quoted(values[option].as<std::string>()))
                   : "";
    };
    return typed("verdict") + search_options_text(values, OptionNeeds::judge) + typed("verdict-timeout") +
           typed("proposer") + search_options_text(values, OptionNeeds::proposer) + typed("proposer-timeout");
}

void read_external_options(const po::variables_map& values, evolution::RunSetup& setup) {
    read_timeout(values, "verdict-timeout", setup.identity.judge_timeout);
    read_timeout(values, "proposer-timeout", setup.identity.proposer_timeout);
    read_command(values, "verdict", OptionNeeds::judge, setup.config, setup.identity.judge_command);
    read_command(values, "proposer", OptionNeeds::proposer, setup.config, setup.identity.proposer_command);
}

ExternalProcesses::ExternalProcesses(const evolution::RunSetup& setup, const evolution::SearchSuites& search,
                                     const std::filesystem::path& state_file, bool named_anew, bool begun_before) {
    if (setup.config.asked_of_model > 0) {
        evolution::JudgeOptions options;
        options.command = setup.identity.judge_command;
        options.retentions = search.retentions.front();
        options.shape = search.shape;
        options.keep = search.keep;
        options.timeout = milliseconds_of(setup.identity.judge_timeout);
        verdicts_.emplace(journal(state_file, evolution::verdicts_ending, begun_before));
        judge_ = std::make_unique<evolution::VerdictJudge>(std::move(options), *verdicts_);
        if (!judge_->lost().empty()) judge_->forgive();
        external_.judge = judge_.get();
    }
    if (setup.config.proposals > 0) {
        evolution::ProposerOptions options;
        options.command = setup.identity.proposer_command;
        options.timeout = milliseconds_of(setup.identity.proposer_timeout);
        options.forgive = named_anew;
        proposals_.emplace(journal(state_file, evolution::proposals_ending, begun_before));
        proposer_ = std::make_unique<evolution::Proposer>(std::move(options), *proposals_);
        external_.proposer = proposer_.get();
        external_.about = about(setup, search);
        external_.documents = train_documents(search);
    }
}

} // namespace evictlab::cli
