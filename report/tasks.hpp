// What eviction leaves of a model's answers: how many are right, and how far the answers' tokens move. Another program
// measures it inside the model; docs/tasks.md has the schema of its JSON, "evictlab-tasks/1".
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json_field.hpp"
#include "base/statistics/bootstrap.hpp"
#include "report/leaderboard_text.hpp"

namespace evictlab::report {

inline constexpr std::string_view tasks_schema = "evictlab-tasks/1";
/// Whether a scorer has not seen the question, or has. Figures of the two are in no mean together.
inline constexpr std::array<std::string_view, 2> question_kinds{"unseen", "seen"};

struct Tasks {
    using Figures = std::vector<std::vector<double>>;               ///< [document][retention]
    using Shares = std::vector<std::vector<std::optional<double>>>; ///< likewise; nothing where there is no such span

    /// One task with one kind of question.
    struct Cell {
        std::string task, format, question;
        std::string left_out{};             ///< why it is in no mean; "" otherwise
        std::vector<std::size_t> documents; ///< its examples
        double full = 0;                    ///< share that is right without eviction
    };
    struct Row {
        std::string scorer;
        Figures right;                      ///< in [0, 1]
        Figures answer_kl;                  ///< nats a token of the answers
        Shares lost;                        ///< share of the answer's tokens in the prompt that no head kept
        std::map<std::string, Shares> kept; ///< by role of a span, the share kept of its tokens
    };
    std::string file, model;
    std::vector<double> retentions;
    std::vector<Cell> cells;
    std::vector<Row> rows;
};

/// Checks everything that it uses and ignores fields that it does not know. Error with file, field and what was
/// expected.
Tasks tasks_from_json(const Json& json, const std::string& file);
/// Reads a file of at most 256 MiB.
Tasks read_tasks(const std::filesystem::path& file);

/// A row's figures over cells, each of which counts the same.
struct TaskFigure {
    Estimate right; ///< with Wilson's interval: over examples, of these tasks
    double answer_kl = 0;
    std::optional<double> lost;
};
TaskFigure task_figure(const Tasks::Row& row, std::span<const Tasks::Cell* const> cells, std::size_t retention);
/// Those with this kind of question that the model can do.
std::vector<const Tasks::Cell*> counted_cells(const Tasks& tasks, std::string_view question);

/// A section with a heading of the third level; behind the first table `whole` has one a task and the spans.
std::string tasks_to_markdown(const Tasks& tasks, Detail detail);
Json tasks_to_json(const Tasks& tasks);

/// As in leaderboard_text.hpp, with tasks behind all else, and in JSON as the member "tasks".
std::string to_markdown(std::span<const LeaderboardTable> tables, Detail detail, std::span<const std::string> plots,
                        std::span<const EngineTable> engines, std::span<const Tasks> tasks);
Json to_json(std::span<const LeaderboardTable> tables, std::span<const EngineTable> engines,
             std::span<const Tasks> tasks);
void write_leaderboard(std::span<const LeaderboardTable> tables, const std::filesystem::path& file, Detail detail,
                       std::span<const std::string> plots, std::span<const EngineTable> engines,
                       std::span<const Tasks> tasks);

} // namespace evictlab::report
