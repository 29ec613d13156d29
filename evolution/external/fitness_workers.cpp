// SPDX-License-Identifier: MIT
#include "evolution/external/fitness_workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "evolution/external/fitness_worker.hpp"
#include "evolution/external/program_texts.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::array both{SearchSplit::train, SearchSplit::valid};
const std::string answer_name = "a fitness worker's answer";

/// What a document costs, about.
double work_of(const Trace& trace) {
    const auto n = static_cast<double>(trace.seq_len());
    return n * (trace.captured() ? 1 : n) * static_cast<double>(trace.held_layers().size() * trace.heads());
}

/// A split's documents, units and heads, each worker's after those of the worker before it: where each worker's begin,
/// and where the last one's end.
struct Runs {
    std::vector<std::size_t> documents{0}, units{0}, heads{0};
};

/// Those of ascending indices that lie in the run of a worker, counted from its begin.
std::vector<std::size_t> within(std::span<const std::size_t> indices, const std::vector<std::size_t>& begins,
                                std::size_t worker) {
    const auto first = std::ranges::lower_bound(indices, begins[worker]);
    const auto last = std::ranges::lower_bound(indices, begins[worker + 1]);
    std::vector<std::size_t> own(first, last);
    for (std::size_t& index : own) index -= begins[worker];
    return own;
}

Json formula_json(const FitnessJob& job) {
    Json json;
    json["formula"] = text_of(*job.program);
    json["constants"] = std::vector<double>(job.constants.begin(), job.constants.end());
    return json;
}

void append(UnitLayout& all, Runs& runs, const UnitLayout& part) {
    for (const std::size_t document : part.documents) all.documents.push_back(all.traces + document);
    for (const std::size_t document : part.head_documents) all.head_documents.push_back(all.traces + document);
    all.traces += part.traces;
    all.tokens = std::max(all.tokens, part.tokens); // of one place
    runs.documents.push_back(all.traces);
    runs.units.push_back(all.documents.size());
    runs.heads.push_back(all.head_documents.size());
}

} // namespace

std::vector<std::size_t> dealt_in_runs(const std::vector<double>& work, std::size_t workers) {
    const double all = std::accumulate(work.begin(), work.end(), 0.0);
    std::vector<std::size_t> of(work.size());
    double before = 0;
    for (std::size_t d = 0; d < work.size(); ++d) {
        const double middle = (before + work[d] / 2) / all * static_cast<double>(workers);
        of[d] = std::min(workers - 1, static_cast<std::size_t>(middle));
        before += work[d];
    }
    return of;
}

/// All workers. One thread at a time asks; it never runs a TBB task meanwhile, so nobody can wait for himself.
class FitnessWorkers::Crew {
public:
    explicit Crew(FitnessWorkerOptions options) : options_(std::move(options)) {
        options_.tell = [tell = options_.tell, this](std::string words) {
            const std::lock_guard lock(telling_);
            if (tell) tell(std::move(words));
        };
    }

    std::size_t size() const { return options_.commands.size(); }
    void start(std::vector<Json> hold) {
        for (std::size_t w = 0; w < size(); ++w) workers_.emplace_back(options_, w, std::move(hold[w]));
        at_once(size(), [this](std::size_t w) { workers_[w].start(); });
    }
    const Json& layouts(std::size_t worker) const { return workers_[worker].layouts(); }

    /// A question a worker, nothing for one that has no part in it.
    void ask(const std::vector<std::optional<FitnessWorker::Question>>& questions) {
        const std::lock_guard lock(asking_);
        std::vector<std::size_t> asked;
        for (std::size_t w = 0; w < questions.size(); ++w)
            if (questions[w]) asked.push_back(w);
        at_once(asked.size(), [&](std::size_t i) { workers_[asked[i]].ask(*questions[asked[i]]); });
    }
    void ask(std::size_t worker, const FitnessWorker::Question& question) {
        const std::lock_guard lock(asking_);
        workers_[worker].ask(question);
    }

private:
    /// Each in a thread of its own. The first of them, in order, that threw has the word.
    static void at_once(std::size_t count, const std::function<void(std::size_t)>& run) {
        std::vector<std::exception_ptr> failures(count);
        const auto guarded = [&](std::size_t i) {
            try {
                run(i);
            } catch (...) {
                failures[i] = std::current_exception();
            }
        };
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < count; ++i) threads.emplace_back(guarded, i);
        if (count > 0) guarded(0);
        threads.clear();
        for (const std::exception_ptr& failure : failures)
            if (failure) std::rethrow_exception(failure);
    }

    FitnessWorkerOptions options_;
    std::mutex asking_, telling_;
    std::deque<FitnessWorker> workers_;
};

/// A suite's units.
class FitnessWorkers::SuiteUnits final : public UnitsElsewhere {
public:
    SuiteUnits(std::shared_ptr<Crew> crew, std::size_t suite, std::size_t retentions,
               const std::vector<HeldPart>& parts)
        : crew_(std::move(crew)), suite_(suite), retentions_(retentions) {
        for (std::size_t w = 0; w < crew_->size(); ++w) {
            const JsonField layouts(crew_->layouts(w), answer_name);
            for (const SearchSplit split : both) {
                const auto s = static_cast<std::size_t>(split);
                const JsonField of_split = layouts.elements().at(suite).member(to_string(split));
                append(layouts_[s], runs_[s], unit_layout_from(of_split, parts[w].documents[s].size()));
            }
        }
    }

    const UnitLayout& layout(SearchSplit split) const override { return layouts_[static_cast<std::size_t>(split)]; }

    void measure(const UnitPart& part, std::span<const FitnessJob> jobs, std::span<const std::size_t> which,
                 UnitErrors& errors) const override {
        if (which.empty()) return;
        Json formulas = Json::array();
        for (const std::size_t job : which) formulas.push_back(formula_json(jobs[job]));
        const Runs& runs = runs_[static_cast<std::size_t>(part.split)];
        const std::vector<std::size_t>& begins = part.by_document ? runs.documents : runs.units;
        std::vector<std::optional<FitnessWorker::Question>> questions(crew_->size());
        for (std::size_t w = 0; w < crew_->size(); ++w) {
            std::vector<std::size_t> units = within(part.units, begins, w);
            if (units.empty() || part.retentions.empty()) continue;
            Json request;
            request["suite"] = suite_;
            request["split"] = to_string(part.split);
            request["measure"] = evictlab::to_string(part.measure);
            request["by_document"] = part.by_document;
            request["units"] = runs_json(units);
            request["retentions"] = runs_json(part.retentions);
            request["jobs"] = formulas;
            auto answer = std::make_shared<Answer>(Answer{part.retentions, std::move(units), begins[w]});
            questions[w] = {
                std::move(request), [answer] { answer->job = answer->figures = 0; },
                [this, answer, which, &errors](const Json& line) { return take(*answer, line, which, errors); }};
        }
        crew_->ask(questions);
    }

    std::uint64_t hash_kept(const FitnessJob& job, std::span<const std::size_t> heads) const override {
        std::uint64_t hash = 0;
        for (std::size_t w = 0; w < crew_->size(); ++w) {
            const std::vector<std::size_t> own = within(heads, runs_[0].heads, w);
            if (own.empty()) continue;
            Json request = formula_json(job);
            request["suite"] = suite_;
            request["heads"] = runs_json(own);
            request["hash"] = fmt::format("{:016x}", hash);
            std::uint64_t next = 0;
            crew_->ask(w, {std::move(request), [] {},
                           [&next](const Json& line) {
                               const auto& text = line.at("hash").get_ref<const std::string&>();
                               std::from_chars(text.data(), text.data() + text.size(), next, 16);
                               return true;
                           }});
            hash = next;
        }
        return hash;
    }

private:
    /// A worker's, under way: how many figures of which job came.
    struct Answer {
        std::vector<std::size_t> retentions, units; ///< of the worker, by its own indices
        std::size_t first = 0;                      ///< unit of the worker
        std::size_t job = 0, figures = 0;
    };

    bool take(Answer& answer, const Json& line, std::span<const std::size_t> which, UnitErrors& errors) const {
        const std::vector<double> figures = figures_from(line.at("errors"));
        const std::size_t whole = answer.units.size() * answer.retentions.size();
        if (line.at("job") != answer.job || figures.empty() || answer.figures + figures.size() > whole)
            throw ProcessFailure(ProcessFailure::Kind::nonsense, "answers with figures that were not asked");
        double* const of_job = errors.of(which[answer.job]);
        for (const double figure : figures) {
            const std::size_t unit = answer.first + answer.units[answer.figures / answer.retentions.size()];
            of_job[unit * retentions_ + answer.retentions[answer.figures % answer.retentions.size()]] = figure;
            ++answer.figures;
        }
        if (answer.figures == whole) {
            ++answer.job;
            answer.figures = 0;
        }
        return answer.job == which.size();
    }

    std::shared_ptr<Crew> crew_;
    std::size_t suite_, retentions_;
    std::array<UnitLayout, 2> layouts_; ///< by SearchSplit
    std::array<Runs, 2> runs_;
};

FitnessWorkers::FitnessWorkers(FitnessWorkerOptions options, const std::vector<Suite>& suites,
                               const std::vector<FormulaMeasuring>& measuring)
    : crew_(std::make_shared<Crew>(std::move(options))) {
    const std::size_t workers = crew_->size();
    std::vector<Json> hold(workers);
    for (std::size_t s = 0; s < suites.size(); ++s) {
        std::vector<HeldPart> parts(workers, held_part_of(suites[s], measuring[s]));
        const SearchTraces traces = suites[s].search_traces();
        for (const SearchSplit split : both) {
            std::vector<double> work;
            for (const TracePtr& trace : split == SearchSplit::train ? traces.train : traces.valid)
                work.push_back(work_of(*trace));
            const std::vector<std::size_t> of = dealt_in_runs(work, workers);
            for (std::size_t d = 0; d < of.size(); ++d)
                parts[of[d]].documents[static_cast<std::size_t>(split)].push_back(d);
        }
        for (std::size_t w = 0; w < workers; ++w) hold[w]["hold"].push_back(to_json(parts[w]));
        parts_.push_back(std::move(parts));
        retentions_.push_back(measuring[s].retentions.size());
    }
    crew_->start(std::move(hold));
}

std::shared_ptr<const UnitsElsewhere> FitnessWorkers::units_of(std::size_t suite) const {
    return std::make_shared<SuiteUnits>(crew_, suite, retentions_[suite], parts_[suite]);
}

} // namespace evictlab::evolution
