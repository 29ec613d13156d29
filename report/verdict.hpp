// The model's own verdict on scorers: the KL divergence of its next-token distribution from the uncompressed run, and
// the change of its mean negative log-likelihood, per document and retention. Another program measures it inside the
// model; docs/report.md has the schema of its JSON, "evictlab-verdict/1".
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json_field.hpp"
#include "base/statistics/bootstrap.hpp"
#include "framework/bench/scorecard.hpp"
#include "framework/plugin/host.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {

inline constexpr std::string_view verdict_schema = "evictlab-verdict/1";

struct Verdict {
    struct Document {
        std::string name, kind, split;
        std::string left_out{}; ///< why it is in no mean; "" otherwise
    };
    struct Row {
        std::string scorer;
        std::vector<std::vector<double>> kl, delta_nll; ///< [document][retention], in nats a token
        std::vector<double> retention_used;             ///< [retention]; empty where the file does not say
        bool uneven_budgets = false;
        std::optional<ScorerClass> scorer_class{}; ///< nothing of a bound, or where the file does not say
        std::optional<ScoringCost> cost{};         ///< likewise
    };
    std::string suite, suite_hash; ///< of the captured suite whose documents were used
    std::string model, protocol;
    BenchCut cut{}; ///< of its rows
    std::vector<double> retentions;
    std::vector<Document> documents;
    std::vector<Row> rows;
    std::map<std::string, std::string> sources{}; ///< as Bench::sources
    std::vector<SharingLayers> sharing_layers{};  ///< where layers with a sliding window keep all
    double kv_bytes = 0;                          ///< as Bench::kv_bytes
    std::string schedule{}, text{};               ///< of the protocol decode: when caches are cut, and whose text it is
    std::vector<double> allowed{}; ///< likewise, [retention]: what caches of its size hold by its schedule; or empty
};

/// Checks everything that it uses and ignores fields that it does not know. Error with file, field and what was
/// expected.
Verdict verdict_from_json(const Json& json, const std::string& file);
/// Reads a file of at most 256 MiB.
Verdict read_verdict(const std::filesystem::path& file);

/// Figures of a row over some documents, at one retention or over all.
struct VerdictFigure {
    double geometric = 0;  ///< mean of the KL divergence in which every document counts the same
    double arithmetic = 0; ///< mean of it, ruled by documents where a lookup fails
    double delta_nll = 0;
    std::optional<Estimate> ratio; ///< of geometric means, row / best published of its class; nothing without that
    bool win = false;              ///< the ratio's interval lies below 1, of enough documents
    /// Row / best published of one pass and uniform budgets, whatever the row's own class.
    std::optional<Estimate> uniform_ratio{};
};

struct VerdictTableRow {
    ScorecardRow scorecard;             ///< the bench's, or as much as the verdict says
    bool published = false;             ///< as LeaderboardRow::published
    std::optional<std::size_t> rank;    ///< in its group, by figures[0].geometric; nothing as in LeaderboardRow
    std::vector<VerdictFigure> figures; ///< over all retentions, then by retention
    std::vector<std::vector<VerdictFigure>> kinds; ///< [VerdictTable::kinds], then the same; without ratios
    std::vector<double> retention_used;
};

/// The test documents of a verdict, summarised.
struct VerdictTable {
    struct Kind {
        std::string name;
        std::vector<std::size_t> documents; ///< among the test documents
    };
    std::string file, model, protocol;
    std::map<std::string, std::string> sources; ///< of the verdict, as the next two
    std::vector<SharingLayers> sharing_layers;
    double kv_bytes = 0;
    std::string schedule, text;
    std::vector<double> allowed;
    BenchCut cut{};
    std::vector<double> retentions;
    std::size_t documents = 0;        ///< in the means
    std::vector<TraceLabel> left_out; ///< of the test documents, those that are in none: the model cannot do them
    bool no_claims = false;           ///< the model can do none: all are in the means, and nobody wins
    std::vector<Kind> kinds;          ///< in the order of the documents
    /// By TableClass::index(), and by figure as in VerdictTableRow::figures: the published row of that class with the
    /// lowest geometric mean; "" where there is none.
    std::array<std::vector<std::string>, table_classes.size()> best_published;
    const std::vector<std::string>& best_of(TableClass which) const { return best_published[which.index()]; }
    std::vector<VerdictTableRow> rows; ///< class after class, each best first
};

/// The bench's row of a scorer, or null.
using FindRow = std::function<const ScorecardRow*(const std::string& scorer)>;

/// `plugins` say what of it is published. Throws Error (naming the file) where there is no test document.
VerdictTable summarise(const Verdict& verdict, const std::string& file, const FindRow& find_row,
                       const PluginHost& plugins);

} // namespace evictlab::report
