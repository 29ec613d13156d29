// SPDX-License-Identifier: MIT
#include "cli/outside.hpp"

#include <fmt/format.h>

#include "base/text/quoting.hpp"
#include "framework/columns/column.hpp"

namespace evictlab::cli {
namespace {

/// As typed, else what it is already.
void read_timeout(const po::variables_map& values, const char* option, double& seconds) {
    read_number<double>(values, option, "a number of seconds", seconds);
    if (!(seconds > 0 && seconds <= 86400))
        throw UsageError(fmt::format("--{} must be above 0 and at most 86400 seconds", option));
}

std::chrono::milliseconds milliseconds_of(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

state::ExchangeJournal journal(const std::filesystem::path& state_file, const char* ending, bool resume) {
    const std::filesystem::path file = state_file.string() + ending;
    return resume ? state::ExchangeJournal::resume(file) : state::ExchangeJournal::create(file);
}

evolution::ProposalRequest about(const evolution::RunSetup& setup, const SearchSuites& search) {
    evolution::ProposalRequest request;
    request.suite = setup.identity.suite;
    request.measure = setup.identity.measure;
    for (const auto& retentions : search.retentions)
        request.retentions.insert(request.retentions.end(), retentions.begin(), retentions.end());
    for (const ColumnId id : setup.config.readable())
        request.columns.push_back({columns::name(id), columns::info(id).help});
    return request;
}

std::vector<std::string> train_documents(const SearchSuites& search) {
    std::vector<std::string> names;
    for (const Suite& suite : search.suites)
        for (const TracePtr& trace : suite.search_traces().train) names.push_back(trace->name());
    return names;
}

} // namespace

void add_outside_options(po::options_description& options) {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    options.add_options()("verdict", text("COMMAND"),
                          "judge the best candidates inside the model by this process (docs/evolution.md), such as "
                          "'evictlab-verdict MODEL SUITE --serve'; promotion then needs its verdict");
    options.add_options()("judged", text("N"), "candidates a generation that the judge is asked about (16)");
    options.add_options()(
        "verdict-tuning", text("N"),
        "evaluations a generation by which CMA-ES tunes the champion's constants inside the model (0)");
    options.add_options()("verdict-timeout", text("S"), "the judge is lost after S seconds of silence (300)");
    options.add_options()("proposer", text("COMMAND"), "take candidates from this process, too (docs/proposers.md)");
    options.add_options()("proposals", text("N"), "candidates asked of the proposer a generation (4)");
    options.add_options()("proposer-timeout", text("S"), "a generation goes on without it after S seconds (120)");
}

std::string outside_options_text(const po::variables_map& values) {
    std::string text;
    for (const char* option :
         {"verdict", "judged", "verdict-tuning", "verdict-timeout", "proposer", "proposals", "proposer-timeout"})
        if (values.contains(option))
            text += fmt::format(" --{} {}", option, text::shell_quoted(values[option].as<std::string>()));
    return text;
}

void read_outside_options(const po::variables_map& values, evolution::RunSetup& setup) {
    constexpr const char* whole = "a whole number";
    read_timeout(values, "verdict-timeout", setup.identity.judge_timeout);
    read_timeout(values, "proposer-timeout", setup.identity.proposer_timeout);
    if (values.contains("verdict")) {
        setup.identity.judge_command = values["verdict"].as<std::string>();
        const std::uint32_t before = setup.config.judged > 0 ? setup.config.judged : 16;
        setup.config.judged = number_from<std::uint32_t>(values, "judged", whole).value_or(before);
        if (setup.config.judged == 0)
            throw UsageError("--judged must be at least 1; leave --verdict away for no judge");
        read_number<std::uint32_t>(values, "verdict-tuning", whole, setup.config.verdict_tuning);
    } else {
        for (const char* option : {"judged", "verdict-tuning"})
            if (values.contains(option)) throw UsageError(fmt::format("--{} belongs to --verdict", option));
    }
    if (values.contains("proposer")) {
        setup.identity.proposer_command = values["proposer"].as<std::string>();
        const std::uint32_t before = setup.config.proposals > 0 ? setup.config.proposals : 4;
        setup.config.proposals = number_from<std::uint32_t>(values, "proposals", whole).value_or(before);
        if (setup.config.proposals == 0)
            throw UsageError("--proposals must be at least 1; leave --proposer away for none");
    } else if (values.contains("proposals")) {
        throw UsageError("--proposals belongs to --proposer");
    }
}

OutsideProcesses::OutsideProcesses(const evolution::RunSetup& setup, const SearchSuites& search,
                                   const std::filesystem::path& state_file, bool named_anew, bool begun_before) {
    if (setup.config.judged > 0) {
        evolution::JudgeOptions options;
        options.command = setup.identity.judge_command;
        options.retentions = search.retentions.front();
        options.timeout = milliseconds_of(setup.identity.judge_timeout);
        verdicts_.emplace(journal(state_file, evolution::verdicts_ending, begun_before));
        judge_ = std::make_unique<evolution::VerdictJudge>(std::move(options), *verdicts_);
        if (!judge_->lost().empty()) judge_->forgive();
        outside_.judge = judge_.get();
    }
    if (setup.config.proposals > 0) {
        evolution::ProposerOptions options;
        options.command = setup.identity.proposer_command;
        options.timeout = milliseconds_of(setup.identity.proposer_timeout);
        options.forgive = named_anew;
        proposals_.emplace(journal(state_file, evolution::proposals_ending, begun_before));
        proposer_ = std::make_unique<evolution::Proposer>(std::move(options), *proposals_);
        outside_.proposer = proposer_.get();
        outside_.about = about(setup, search);
        outside_.documents = train_documents(search);
    }
}

} // namespace evictlab::cli
