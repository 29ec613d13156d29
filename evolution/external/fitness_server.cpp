// SPDX-License-Identifier: MIT
#include "evolution/external/fitness_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text/shown.hpp"
#include "framework/capture/suites.hpp"
#include "framework/fitness/numeric_probe.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::size_t figures_a_line = 16384; // which readers of lines take
constexpr std::size_t most_programs = 4096;
const std::string request_name = "the request";

std::vector<TracePtr> chosen(std::span<const TracePtr> traces, std::span<const std::size_t> which,
                             const std::string& suite) {
    std::vector<TracePtr> list;
    for (const std::size_t i : which) {
        if (i >= traces.size())
            throw Error(
                fmt::format("suite '{}' has {} documents in a split, and no number {}", suite, traces.size(), i));
        list.push_back(traces[i]);
    }
    return list;
}

std::uint64_t hash_from(const JsonField& field) {
    const std::string& text = field.text();
    std::uint64_t hash = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hash, 16);
    if (error != std::errc{} || end != text.data() + text.size()) field.fail("expected hexadecimal digits");
    return hash;
}

} // namespace

struct FitnessServer::Held {
    Suite suite;
    FormulaMeasuring by;
    std::unique_ptr<HeldFitness> fitness;

    /// What is held measures itself, and attention loss; whole documents where all layers decide together.
    void check(const JsonField& request, const UnitPart& part) const {
        if (suite.captured() && part.measure != by.measure && part.measure != Measure::attention_loss)
            request.member("measure").fail(fmt::format("what is held measures {}", to_string(by.measure)));
        const bool whole =
            suite.captured() && (by.shape.granularity == Granularity::model || part.measure == Measure::predicted_kl);
        if (part.by_document != whole)
            request.member("by_document").fail(whole ? "this is measured by document" : "this is measured by unit");
    }
};

FitnessServer::FitnessServer(std::vector<Suite> suites, std::string version, std::function<void(const Json&)> answer)
    : suites_(std::move(suites)), version_(std::move(version)), answer_(std::move(answer)) {}

FitnessServer::~FitnessServer() = default;

Json FitnessServer::introduction() const {
    Json json;
    json["protocol"] = fitness_protocol;
    json["evictlab"] = version_;
    json["probe"] = numeric_probe();
    return json;
}

void FitnessServer::take(std::string_view line) {
    Json id;
    try {
        const Json json = parse_json(line, request_name);
        const JsonField request(json, request_name);
        id = request.member("id").whole<std::uint64_t>();
        take_request(request);
    } catch (const Error& error) {
        answer_({{"id", id}, {"error", error.what()}});
    } catch (const std::bad_alloc&) {
        answer_({{"id", id}, {"error", "there is not enough memory"}});
    }
}

void FitnessServer::take_request(const JsonField& request) {
    if (request.optional_member("hold")) return hold(request);
    if (request.optional_member("heads")) return hash_kept(request);
    measure(request);
}

Suite FitnessServer::suite_of(const HeldPart& part) const {
    const auto same = std::ranges::find(suites_, part.hash, &Suite::hash);
    if (!suites_.empty() && same == suites_.end())
        throw Error(fmt::format("none of the suites that are named here has the hash {}", part.hash));
    Suite suite = suites_.empty() ? make_suite_from_parameters(part.parameters_json) : *same;
    const HeldPart here = held_part_of(suite, {});
    if (here.hash != part.hash)
        throw Error(fmt::format("suite '{}' has the hash {} here, but {} where the search is", suite.name(), here.hash,
                                part.hash));
    if (here.calibration != part.calibration)
        throw Error(fmt::format("suite '{}' has another calibration here than where the search is", suite.name()));
    if (here.reconstruction != part.reconstruction)
        throw Error(fmt::format("suite '{}' has other second passes here than where the search is", suite.name()));
    return suite;
}

void FitnessServer::hold(const JsonField& request) {
    held_.clear();
    Json layouts = Json::array();
    for (const JsonField& field : request.member("hold").elements()) {
        const HeldPart part = held_part_from(field);
        Suite suite = suite_of(part);
        const SearchTraces all = suite.search_traces();
        const std::vector<TracePtr> train = chosen(all.train, part.documents[0], suite.name());
        const std::vector<TracePtr> valid = chosen(all.valid, part.documents[1], suite.name());
        auto made = formula_fitness(suite, part.by, {SearchTraces{train, valid}, nullptr});
        held_.push_back({std::move(suite), part.by, std::move(made)});
        const HeldFitness& fitness = *held_.back().fitness;
        layouts.push_back({{"train", to_json(fitness.layout(SearchSplit::train))},
                           {"valid", to_json(fitness.layout(SearchSplit::valid))}});
    }
    answer_({{"id", request.member("id").whole<std::uint64_t>()}, {"layout", layouts}});
}

const FitnessServer::Held& FitnessServer::held(const JsonField& request) const {
    const JsonField suite = request.member("suite");
    const auto at = suite.whole<std::size_t>();
    if (at >= held_.size()) suite.fail(fmt::format("{} suites are held", held_.size()));
    return held_[at];
}

/// Of columns that the fitness holds.
const formula::Program& FitnessServer::program_of(const JsonField& job, const HeldFitness& fitness) {
    const JsonField field = job.member("formula");
    const std::string& text = field.text();
    auto known = programs_.find(text);
    if (known == programs_.end()) known = programs_.emplace(text, formula::Program(formula::parse(text))).first;
    for (const ColumnId id : known->second.columns())
        if (std::ranges::find(fitness.columns(), id) == fitness.columns().end())
            field.fail(fmt::format("reads {}, which is not held", columns::name(id)));
    return known->second;
}

void FitnessServer::measure(const JsonField& request) {
    const Held& of = held(request);
    const HeldFitness& fitness = *of.fitness;
    const auto id = request.member("id").whole<std::uint64_t>();
    const std::size_t retentions = fitness.retentions().size();
    UnitPart part;
    part.split = search_split_from(request.member("split"));
    const UnitLayout& layout = fitness.layout(part.split);
    const JsonField measure = request.member("measure");
    const auto by = evictlab::measure_of(measure.text());
    if (!by) measure.fail("no such measure");
    part.measure = *by;
    part.by_document = request.member("by_document").truth();
    of.check(request, part);
    const std::size_t units = part.by_document ? layout.traces : layout.documents.size();
    part.units = indices_from(request.member("units"), units);
    part.retentions = indices_from(request.member("retentions"), retentions);

    if (programs_.size() > most_programs) programs_.clear();
    std::vector<std::vector<double>> constants;
    std::vector<FitnessJob> jobs;
    for (const JsonField& job : request.member("jobs").elements()) {
        const formula::Program& program = program_of(job, fitness);
        constants.push_back(job.member("constants").numbers());
        if (constants.back().size() != program.constants().size())
            job.fail(fmt::format("{} constants for a formula that has {}", constants.back().size(),
                                 program.constants().size()));
        jobs.push_back({&program, {}});
    }
    std::vector<std::size_t> which(jobs.size());
    for (std::size_t j = 0; j < jobs.size(); ++j) {
        jobs[j].constants = constants[j];
        which[j] = j;
    }
    UnitErrors errors(jobs.size(), units, retentions);
    fitness.measure(part, jobs, which, errors);
    std::vector<double> figures;
    for (std::size_t j = 0; j < jobs.size(); ++j) {
        figures.clear();
        for (const std::size_t unit : part.units)
            for (const std::size_t r : part.retentions) figures.push_back(errors.of(j)[unit * retentions + r]);
        for (std::size_t from = 0; from < figures.size(); from += figures_a_line) {
            const auto some = std::span(figures).subspan(from, std::min(figures_a_line, figures.size() - from));
            answer_({{"id", id}, {"job", j}, {"errors", figures_json(some)}});
        }
    }
}

void FitnessServer::hash_kept(const JsonField& request) {
    const HeldFitness& fitness = *held(request).fitness;
    const formula::Program& program = program_of(request, fitness);
    const std::vector<double> constants = request.member("constants").numbers();
    if (constants.size() != program.constants().size()) request.fail("another number of constants than the formula's");
    const std::size_t heads = fitness.layout(SearchSplit::train).head_documents.size();
    const std::vector<std::size_t> which = indices_from(request.member("heads"), heads);
    const std::uint64_t hash = fitness.hash_kept({&program, constants}, which, hash_from(request.member("hash")));
    answer_({{"id", request.member("id").whole<std::uint64_t>()}, {"hash", fmt::format("{:016x}", hash)}});
}

} // namespace evictlab::evolution
