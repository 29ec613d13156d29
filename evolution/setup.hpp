// What a run is made of before its first generation: what it searches on, how, and when it stops. All of it is saved,
// and a resumed run must agree in everything but its limits. SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json_field.hpp"
#include "framework/columns/column.hpp"
#include "framework/cut/shape.hpp"
#include "framework/fitness/relative_fitness.hpp"
#include "framework/formula/formula.hpp"
#include "framework/scorers/parameter_space.hpp"

namespace evictlab::evolution {

/// Beyond these no setup is one that somebody means.
inline constexpr std::uint32_t most_population = 1'000'000, most_evaluations = 1'000'000'000;
inline constexpr std::size_t most_retentions = 1000;

/// Raised by every change after which the same seed gives another run.
inline constexpr int engine_version = 3;

/// How parents are drawn from their island.
enum class ParentSelection : std::uint8_t { tournament, lexicase };
std::string_view to_string(ParentSelection selection);

/// What decides the run's bits, together with the suite.
struct RunConfig {
    std::string start = "hybrid_start";            ///< as typed: a name or a formula's text; or a tuned scorer
    formula::Formula start_formula;                ///< what that is; empty where a plugin is tuned
    bool tunes = false;                            ///< the parameters of the scorer `start`, whose text is canonical
    std::shared_ptr<const ParameterSpace> space{}; ///< around that scorer; not in the state
    std::uint64_t seed = 1;
    std::uint32_t population = 400; ///< and offspring a generation
    std::uint32_t max_nodes = 60;
    double node_price = 2.5e-5;             ///< part of the start's train error that one node must save to be worth it
    std::uint32_t tuned = 8;                ///< structures tuned a generation; 0: none
    std::uint32_t tuning_evaluations = 200; ///< of a structure's first tuning; later ones take longer
    std::uint32_t query_stride = 1;         ///< on captured suites only each such query of a continuation judges
    std::uint32_t asked_of_model = 0;       ///< candidates a generation that the judge is asked about; 0: no judge
    std::uint32_t verdict_tuning = 0; ///< evaluations a generation by which the judge tunes the champion's constants
    std::uint32_t proposals = 0;      ///< asked of the proposer a generation; 0: no proposer
    ParentSelection parents = ParentSelection::tournament;
    std::uint32_t islands = 1;
    std::uint32_t migration = 10;     ///< generations between two migrations
    double archive = 0;               ///< the share of parents out of the quality-diversity archive; 0: none is kept
    bool semantic_duplicates = false; ///< whether formulas that keep what one no larger keeps are left out
    bool race = false; ///< whether candidates leave a race that they cannot win, where the fitness has heats
    /// What new subtrees may read. The seed's statistics: others would make another benchmark of it.
    std::vector<std::string> columns = {"position",    "relative_pos", "sequence_len", "cumulative_attn",
                                        "recent_attn", "attn_entropy", "key_norm",     "token_type",
                                        "layer_ratio", "is_sink"};
    /// Whether nothing of the run reads others: no operator's own, no proposal's and no start's (column_choice.hpp).
    bool columns_only = false;

    /// What the run's formulas may read: `columns`, and what the start formula reads; each once.
    std::vector<ColumnId> readable() const;
    bool reads_calibration() const; ///< these, or the scorer that is tuned
    bool reads_second_pass() const; ///< likewise
};

/// What new subtrees read on captured suites, where a scorer sees nothing that it is judged on.
inline const std::vector<std::string> captured_columns = {"position",
                                                          "relative_age",
                                                          "relative_pos",
                                                          "layer_ratio",
                                                          "token_type",
                                                          "is_sink",
                                                          "cumulative_attn",
                                                          "observed_attn",
                                                          "last_attn",
                                                          "last_attn:all",
                                                          "attn_entropy",
                                                          "window_attn:16",
                                                          "window_attn:64",
                                                          "window_attn:256",
                                                          "window_attn:64:pool=5:avg",
                                                          "window_attn:64:pool=15:avg",
                                                          "window_max:64",
                                                          "window_std:64",
                                                          "window_std:256",
                                                          "expected_attn",
                                                          "expected_attn:mean",
                                                          "replayed_attn:64",
                                                          "replayed_attn:64:rms",
                                                          "replayed_attn:256:rms",
                                                          "replayed_attn:all",
                                                          "replayed_attn:all:rms",
                                                          "key_norm",
                                                          "value_norm",
                                                          "key_cos",
                                                          "rank:key_norm",
                                                          "rank:value_norm",
                                                          "rank:wov_norm",
                                                          "rank:key_cos",
                                                          "rank:lag_key",
                                                          "rank:lag_value",
                                                          "rank:lag_value:32",
                                                          "rank:observed_attn",
                                                          "rank:cumulative_attn",
                                                          "rank:expected_attn",
                                                          "rank:window_attn:64:pool=5:avg"};

/// One more suite of a run on several.
struct SearchedSuite {
    std::string name, hash, parameters_json, measure;
    ReferenceErrors reference;
    std::string calibration{};    ///< "sha256:..." of the suite's where the run reads it, else ""
    std::string reconstruction{}; ///< likewise of its second passes, as Suite::reconstruction()
};

/// What the run is measured on and made by; the caller knows.
struct RunIdentity {
    std::string suite, suite_hash;
    std::string suite_parameters_json;           ///< Suite::parameters_json()
    std::string measure;                         ///< what its errors are
    Shape shape{};                               ///< at which candidates keep tokens, on all suites and by the judge
    std::vector<std::size_t> keep{};             ///< numbers of tokens, whose names the retentions are; none elsewhere
    std::vector<SearchedSuite> more_suites;      ///< beside that one
    ReferenceErrors reference;                   ///< of that one; empty where errors are not relative
    std::string calibration, reconstruction;     ///< likewise, as SearchedSuite has them
    std::string judge_command, proposer_command; ///< "" for none; may differ on resume
    double judge_timeout = 300;                  ///< seconds of silence after which it is lost; may differ, too
    double proposer_timeout = 120;               ///< for its introduction, and for an answer; may differ, too
    std::string build;                           ///< evictlab's version
    std::map<std::string, std::string> plugins;  ///< id -> SHA-256 of each plugin that the run relies on
    /// id -> the file of each of them that is not built in, as seen from the state's folder; may differ on resume
    std::map<std::string, std::string> plugin_files;
    std::string command; ///< that repeats the run, without --state and limits
};

/// When to stop; any may differ on resume. Looked at after each generation, `seconds` also within one.
struct RunLimits {
    std::optional<std::uint32_t> generations; ///< in all
    std::optional<std::uint64_t> evaluations; ///< in all
    std::optional<double> seconds;            ///< of this invocation
    std::optional<double> target;             ///< the champion's valid error
    std::optional<std::uint32_t> patience;    ///< generations without a new champion
};

struct RunSetup {
    RunConfig config;
    RunIdentity identity;
    RunLimits limits;
};

/// The setup's part of a state's content.
nlohmann::ordered_json to_json(const RunSetup& setup, std::span<const double> retentions);
/// The setup that a saved run was made with, as it stands there (saved_run.hpp). Throws Error that names the field.
RunSetup saved_setup(const JsonField& content);

/// Throws Error that names the first field in which the saved run differs, both values, and what to do.
void check_resumable(const nlohmann::ordered_json& saved, const RunSetup& wanted, std::span<const double> retentions);

/// Throws UsageError for a setup that no run can be made of.
void check_setup(const RunSetup& setup);

} // namespace evictlab::evolution
