// Suites: named traces in splits with a content hash. `micro` and `full` are the seed's benchmarks, generated;
// others were captured from a model (framework/capture/).
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/suite/trace.hpp"

namespace evictlab {

/// `test_other_model` holds documents of a second model, which no search saw: a test split of its own, in few suites.
enum class Split : std::uint8_t { train, valid, test, test_other_model };
inline constexpr std::array all_splits{Split::train, Split::valid, Split::test, Split::test_other_model};
/// Whether a search may not see it.
constexpr bool is_test(Split split) { return split == Split::test || split == Split::test_other_model; }
/// Those that synthetic suites have.
inline constexpr std::array generated_splits{Split::train, Split::valid, Split::test};
template <class T>
using BySplit = std::array<T, all_splits.size()>;
std::string_view to_string(Split split);

/// The splits that a search sees; there is no way from here to the others.
enum class SearchSplit : std::uint8_t { train, valid };

/// Proof that the caller reports figures and does not search: only the evaluation of whole scorecards makes one.
class ReportingKey {
    ReportingKey() = default;
    friend class ScorecardRun;
};

struct Calibration; // framework/layer/calibration.hpp

/// What the traces of a captured suite hold.
struct CapturedContents {
    bool sensitivities = true; ///< every trace has what predicted_kl needs (CapturedTrace::probes())
    bool output_projections =
        false;               ///< its model's are known; a second model's traces beside the first one's have none
    bool wov_norms = true;   ///< each layer of each trace has CriticalKV's norms, or what they follow from
    bool wo_grams = true;    ///< the output projection of each layer of each trace is known
    bool token_types = true; ///< each trace says what kinds of tokens it has: the column token_type is known
    std::shared_ptr<const Calibration> calibration{}; ///< of its model; null where there is none
    std::string uncalibrated{}; ///< which layer the calibration lacks, or which trace is of another model; else ""
    /// "sha256:" and 64 digits over the files of the second passes, no part of the suite's hash; "" unless each trace
    /// has its own.
    std::string reconstruction{};
};

/// Immutable once made, as its traces are: safe to share between threads. Copies share the traces.
class Suite {
public:
    /// The hash is of the parameters.
    Suite(std::string name, std::string parameters_json, BySplit<std::vector<TracePtr>> splits);
    /// A captured suite. `content` is what its hash is over.
    Suite(std::string name, std::string parameters_json, std::string_view content, CapturedContents captured,
          BySplit<std::vector<TracePtr>> splits);

    const std::string& name() const { return name_; }
    /// "sha256:" and 64 digits over everything that decides the traces' content.
    const std::string& hash() const { return hash_; }
    /// The parameters that rebuild the suite, as a JSON object; see make_suite(json).
    const std::string& parameters_json() const { return parameters_json_; }
    /// Whether its traces were captured from a model, so that Trace::captured() gives queries, keys and values.
    bool captured() const { return captured_.has_value(); }
    bool has_sensitivities() const { return captured_ && captured_->sensitivities; }
    bool has_output_projections() const { return captured_ && captured_->output_projections; }
    bool has_wov_norms() const { return captured_ && captured_->wov_norms; }
    bool has_wo_grams() const { return captured_ && captured_->wo_grams; }
    bool has_token_types() const { return !captured_ || captured_->token_types; }
    const Calibration* calibration() const { return captured_ ? captured_->calibration.get() : nullptr; }
    /// Why the calibration does not do for every layer of every trace, or "".
    std::string uncalibrated() const { return captured_ ? captured_->uncalibrated : ""; }
    bool has_reconstructions() const { return captured_ && !captured_->reconstruction.empty(); }
    /// As CapturedContents::reconstruction.
    std::string reconstruction() const { return captured_ ? captured_->reconstruction : ""; }
    SearchTraces search_traces() const { return {splits_[0], splits_[1]}; }
    /// How many traces a split holds; of the test splits nothing else is open to a search.
    std::size_t size(Split split) const { return splits_[static_cast<std::size_t>(split)].size(); }
    std::span<const TracePtr> traces(Split split, ReportingKey) const {
        return splits_[static_cast<std::size_t>(split)];
    }

private:
    std::string name_;
    std::string parameters_json_;
    std::string hash_;
    BySplit<std::vector<TracePtr>> splits_;
    std::optional<CapturedContents> captured_;
};

/// Sizes that the command line may set; unset ones take the published value.
struct SuiteOptions {
    std::optional<std::size_t> seq_len;    ///< micro only
    std::optional<std::size_t> num_layers; ///< micro only
    std::optional<std::size_t> patterns;   ///< a split; `full` and captured ones: the first so many of each split
    std::uint64_t seed_offset = 0;         ///< micro only: added to the generator's base seeds 1000, 2000, 3000
    std::uint64_t test_seed_offset = 0;    ///< micro only: added to the test split's base seed alone
    bool sliding_layers = false;           ///< captured only: also judge layers with a sliding window
    std::string calibration{};             ///< captured only: a file in place of the suite's own
};

} // namespace evictlab
