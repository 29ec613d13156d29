// The external processes that a search asks: a judge inside the model, and a proposer.
// SPDX-License-Identifier: MIT
#pragma once
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/command.hpp"
#include "cli/shared_options.hpp"
#include "evolution/generation.hpp"
#include "evolution/search.hpp"

namespace evictlab::cli {

/// --verdict, --judged, --verdict-timeout, --proposer, --proposals, --proposer-timeout.
void add_external_options(po::options_description& options);
std::string external_options_text(const po::variables_map& values);
/// What is given goes into the setup; the rest of it stays.
void read_external_options(const po::variables_map& values, evolution::RunSetup& setup);

/// Their answers are kept beside the state: FILE.verdicts and FILE.proposals.
class ExternalProcesses {
public:
    /// `begun_before`: whether answers of an earlier invocation count; a judge that was lost then is asked anew, and so
    /// is a proposer that was `named_anew`.
    ExternalProcesses(const evolution::RunSetup& setup, const evolution::SearchSuites& search,
                      const std::filesystem::path& state_file, bool named_anew, bool begun_before);
    const evolution::External& external() const { return external_; }

private:
    std::optional<state::AnswerJournal> verdicts_, proposals_;
    std::unique_ptr<evolution::VerdictJudge> judge_;
    std::unique_ptr<evolution::Proposer> proposer_;
    evolution::External external_;
};

} // namespace evictlab::cli
