// A judge whose answers are a table that a test writes down, and which logs what it was asked.
// SPDX-License-Identifier: MIT
#pragma once
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "evolution/external/verdict_judge.hpp"
#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

inline constexpr const char* table_judge = R"py(
import json, re, sys
table = json.load(open(sys.argv[1]))
print(json.dumps({"protocol": "evictlab-judge/1", "judge": "a table",
                  "documents": [{"name": n, "kind": "prose", "split": s} for n, s in table["documents"]]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    scorer, document = request["scorer"], request["documents"][0]
    with open(sys.argv[2], "a") as log: log.write(scorer + " " + document + "\n")
    factor = table["kl"].get(scorer, {}).get(document, table["kl"].get(scorer, {}).get("", None))
    if table["goal"]: factor = abs(float(re.search("[0-9.]+", scorer).group()) - table["goal"]) + 0.1
    if factor is None: answer = {"error": "not in the table"}
    else: answer = {"kl": [[factor * table["base"].get(document, 1.0) / r for r in request["retentions"]]]}
    print(json.dumps({"id": request["id"], **answer}), flush=True)
)py";

/// A scorer's divergence on a document at retention r is its factor there (or that of document "") times the
/// document's own base (1 where none is given) over r; a scorer that is not in the table cannot be judged.
struct TableJudge {
    TemporaryFolder folder;
    std::vector<std::pair<std::string, std::string>> documents{{"d0", "train"}, {"v0", "valid"}};
    std::map<std::string, double> base{};
    double goal = 0; ///< unless 0: factors are 0.1 and the distance of a scorer's first number to this
    std::map<std::string, std::map<std::string, double>> kl{}; ///< [scorer][document]: the factor

    /// From now on, with the table as it is. Forgets what was answered before.
    evolution::VerdictJudge& open() {
        nlohmann::json table{{"documents", documents}, {"base", base}, {"kl", kl}, {"goal", goal}};
        put(folder / "judge.py", table_judge);
        put(folder / "table.json", table.dump());
        std::filesystem::remove(folder / "log");
        judge_.reset();
        journal_.reset();
        std::filesystem::remove(folder / "verdicts"); // each opening is a new run's
        journal_.emplace(state::AnswerJournal::create(folder / "verdicts"));
        const std::string quoted = "'" + (folder / "judge.py").string() + "' '" + (folder / "table.json").string() +
                                   "' '" + (folder / "log").string() + "'";
        judge_.emplace(evolution::JudgeOptions{"exec python3 " + quoted, {0.5, 0.25}, std::chrono::seconds(300)},
                       *journal_);
        return *judge_;
    }
    /// "=recent_attn d0" for each question since open().
    std::vector<std::string> log() const {
        std::ifstream file(folder / "log");
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);) lines.push_back(line);
        return lines;
    }
    /// What it says of a scorer on the documents of a split.
    std::vector<std::vector<double>> said(const std::string& scorer, const std::string& split) const {
        std::vector<std::vector<double>> all;
        for (const auto& [name, of] : documents) {
            if (of != split) continue;
            const auto& factors = kl.at(scorer);
            const double factor = factors.contains(name) ? factors.at(name) : factors.at("");
            const double own = base.contains(name) ? base.at(name) : 1;
            all.push_back({factor * own / 0.5, factor * own / 0.25});
        }
        return all;
    }

private:
    std::optional<state::AnswerJournal> journal_;
    std::optional<evolution::VerdictJudge> judge_;
};

} // namespace evictlab::test
