// SPDX-License-Identifier: MIT
#include "evolution/external/verdict_judge.hpp"
#include "base/text/shown.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "framework/cut/shape_json.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::string_view protocols[] = {"evictlab-judge/1", "evictlab-verdict/1"}; // the second until 0.1
constexpr std::size_t usual_under_way = 8;
constexpr std::uint64_t most_parallel = 65536; // each is held in memory

// Keys of the journal, beside those of verdicts, which are lists in JSON.
const std::string judge_key = "judge";
const std::string lost_key = "judge lost";

ProcessFailure nonsense(const std::string& what) { return {ProcessFailure::Kind::nonsense, what}; }

/// Runs a step that reads what the judge wrote: what is wrong with it is the judge's failure.
template <typename Step>
auto of_judge(Step step) {
    try {
        return step();
    } catch (const ProcessFailure&) {
        throw;
    } catch (const Error& error) {
        throw nonsense(fmt::format("wrote nonsense: {}", error.what()));
    }
}

std::vector<JudgeDocument> documents_of(const JsonField& introduction) {
    std::vector<JudgeDocument> documents;
    for (const JsonField& field : introduction.member("documents").elements()) {
        documents.push_back({field.member("name").text(), field.member("kind").text(), field.member("split").text()});
        const std::string& split = documents.back().split;
        if (split != "train" && split != "valid")
            field.member("split").fail(
                fmt::format("expected \"train\" or \"valid\", found \"{}\"", text::sentence(split, words_shown)));
    }
    return documents;
}

/// Whether it says that it heeds something of a request: "shapes", or "keep".
bool heeds(const Json& introduction, const char* what) {
    static const std::string name = "its introduction";
    const auto said = JsonField(introduction, name).optional_member(what);
    return said && said->truth();
}

/// What the journal keeps of it, checked.
Json kept_introduction(const Json& introduction) {
    static const std::string name = "its introduction";
    const JsonField field(introduction, name);
    Json kept;
    kept["judge"] = field.member("judge").text();
    documents_of(field);
    kept["documents"] = introduction.at("documents");
    return kept;
}

/// How many requests may wait for their answers, by a judge's introduction.
std::size_t most_under_way(const Json& introduction) {
    static const std::string name = "its introduction";
    const auto parallel = JsonField(introduction, name).optional_member("parallel");
    if (!parallel) return usual_under_way;
    const std::uint64_t requests = parallel->whole_up_to(most_parallel);
    if (requests == 0) parallel->fail("expected at least 1, found 0");
    return std::max<std::size_t>(usual_under_way, requests);
}

/// What the journal keeps of an answer about one document, checked.
Json kept_answer(const JsonField& answer, std::size_t retentions) {
    Json kept;
    if (const auto error = answer.optional_member("error")) {
        kept["error"] = text::sentence(error->text(), words_shown);
        return kept;
    }
    const JsonField kl = answer.member("kl");
    const std::vector<JsonField> documents = kl.elements();
    if (documents.size() != 1) kl.fail(fmt::format("{} documents, but 1 was asked", documents.size()));
    const std::vector<JsonField> values = documents.front().elements();
    if (values.size() != retentions)
        documents.front().fail(fmt::format("{} retentions, but {} were asked", values.size(), retentions));
    kept["kl"] = Json::array();
    for (const JsonField& value : values) {
        if (value.number() < 0) value.fail(fmt::format("{} is negative, which no KL divergence is", value.number()));
        kept["kl"].push_back(value.number());
    }
    return kept;
}

} // namespace

VerdictJudge::VerdictJudge(JudgeOptions options, state::AnswerJournal& journal)
    : options_(std::move(options)), journal_(journal) {}

void VerdictJudge::start(const StopSignal& stop) {
    try {
        process_ = std::make_unique<JsonProcess>(options_.command, protocols, options_.timeout, stop);
        most_under_way_ = of_judge([&] { return most_under_way(process_->introduction()); });
        check_identity(of_judge([&] { return kept_introduction(process_->introduction()); }));
        check_heeded(process_->introduction());
    } catch (const ProcessFailure& failure) {
        process_.reset();
        if (introduced_) throw;
        throw Error(fmt::format("the judge '{}' does not work: it {}. Mend the command, or what it needs",
                                options_.command, failure.what()));
    }
    introduced_ = true;
}

void VerdictJudge::check_heeded(const Json& introduction) const {
    const auto heeded = [&](const char* what) { return of_judge([&] { return heeds(introduction, what); }); };
    const bool shapes = heeded("shapes"), keep = heeded("keep");
    if (!shapes && !options_.shape.usual())
        throw Error(
            fmt::format("the judge '{}' knows no shapes (its first line does not have \"shapes\": true), and this run "
                        "is at one: {}",
                        options_.command, in_words(options_.shape)));
    if (!keep && !options_.keep.empty())
        throw Error(fmt::format("the judge '{}' knows no numbers of tokens (its first line does not have \"keep\": "
                                "true), and this run keeps {} of each prompt",
                                options_.command, fmt::join(options_.keep, ",")));
}

void VerdictJudge::check_identity(const Json& introduction) {
    const Json* const known = journal_.find(judge_key);
    if (known == nullptr) return journal_.remember(judge_key, introduction);
    if (*known == introduction) return;
    const auto who = [](const Json& json) {
        return text::sentence(json.at("judge").get_ref<const std::string&>(), words_shown);
    };
    if (known->at("judge") == introduction.at("judge"))
        throw Error(
            fmt::format("the judge '{}' has other documents than when the run began, though it calls itself the "
                        "same: go on with the documents of that time, or start a new run",
                        who(introduction)));
    throw Error(
        fmt::format("the run was judged by '{}' so far, and '{}' is another judge: go on with the first one, or "
                    "start a new run",
                    who(*known), who(introduction)));
}

const Json& VerdictJudge::introduction(const StopSignal& stop) {
    if (journal_.find(judge_key) == nullptr) start(stop);
    return *journal_.find(judge_key);
}

std::size_t VerdictJudge::answers() const {
    std::size_t count = journal_.size();
    for (const std::string& key : {judge_key, lost_key}) count -= journal_.find(key) == nullptr ? 0 : 1;
    return count;
}

std::string VerdictJudge::identity(const StopSignal& stop) { return introduction(stop).at("judge").get<std::string>(); }

std::vector<JudgeDocument> VerdictJudge::documents(std::string_view split, const StopSignal& stop) {
    const std::string file = journal_.file().string();
    std::vector<JudgeDocument> documents = documents_of(JsonField(introduction(stop), file));
    std::erase_if(documents, [&](const JudgeDocument& document) { return document.split != split; });
    return documents;
}

std::vector<ModelAnswer> VerdictJudge::ask(std::span<const ModelQuestion> questions, const StopSignal& stop) {
    introduction(stop); // which the keys need
    std::deque<Request> open = open_requests(questions);
    if (!open.empty() && lost().empty()) exchange(std::move(open), stop);
    std::vector<ModelAnswer> verdicts;
    verdicts.reserve(questions.size());
    for (const ModelQuestion& question : questions) verdicts.push_back(verdict_of(question));
    return verdicts;
}

std::string VerdictJudge::key_of(std::string_view scorer, std::string_view document) const {
    const Json& identity = journal_.find(judge_key)->at("judge");
    Json key = Json::array({"verdict", identity, scorer, document, options_.retentions});
    if (!options_.shape.usual()) key.push_back(to_json(options_.shape));
    if (!options_.keep.empty()) key.push_back(options_.keep);
    return key.dump();
}

/// What the journal does not answer, each once.
std::deque<VerdictJudge::Request> VerdictJudge::open_requests(std::span<const ModelQuestion> questions) const {
    std::deque<Request> open;
    std::unordered_set<std::string> keys;
    for (const ModelQuestion& question : questions)
        for (const std::string& document : question.documents) {
            std::string key = key_of(question.scorer, document);
            if (journal_.find(key) == nullptr && keys.insert(std::move(key)).second)
                open.push_back({question.scorer, document});
        }
    return open;
}

void VerdictJudge::exchange(std::deque<Request> waiting, const StopSignal& stop) {
    UnderWay under_way;
    while (!waiting.empty() || !under_way.empty()) {
        try {
            if (!process_) start(stop);
            send_some(waiting, under_way);
            take(process_->receive(stop), under_way);
        } catch (const ProcessFailure& failure) {
            process_.reset();
            while (!under_way.empty()) waiting.push_front(under_way.extract(std::prev(under_way.end())).mapped());
            if (failure.kind != ProcessFailure::Kind::died || restarts_left_ == 0)
                return lose(failure.what(), waiting.front());
            --restarts_left_;
        } catch (...) { // what is under way would be answered to somebody who asks something else
            process_.reset();
            throw;
        }
    }
}

void VerdictJudge::send_some(std::deque<Request>& waiting, UnderWay& under_way) {
    while (!waiting.empty() && under_way.size() < most_under_way_) {
        Request request = std::move(waiting.front());
        waiting.pop_front();
        const std::uint64_t id = ++last_id_;
        Json json;
        json["id"] = id;
        json["scorer"] = request.scorer;
        json["documents"] = Json::array({request.document});
        json["retentions"] = options_.retentions;
        if (!options_.shape.usual()) json["shape"] = to_json(options_.shape);
        if (!options_.keep.empty()) json["keep"] = options_.keep;
        under_way.emplace(id, std::move(request));
        process_->send(json);
    }
}

void VerdictJudge::take(const Json& answer, UnderWay& under_way) {
    static const std::string name = "its answer";
    const JsonField field(answer, name);
    const auto id = of_judge([&] { return field.member("id").whole<std::uint64_t>(); });
    const auto request = under_way.find(id);
    if (request == under_way.end()) throw nonsense(fmt::format("answers a question {} that is not open", id));
    Json kept = of_judge([&] { return kept_answer(field, options_.retentions.size()); });
    journal_.remember(key_of(request->second.scorer, request->second.document), std::move(kept));
    under_way.erase(request);
}

void VerdictJudge::lose(const std::string& why, const Request& at) {
    Json lost;
    lost["reason"] =
        fmt::format("the judge was lost at {} on {}: it {}", text::sentence(at.scorer, words_shown), at.document, why);
    lost["scorer"] = at.scorer;
    lost["document"] = at.document;
    journal_.remember(lost_key, std::move(lost));
}

std::string VerdictJudge::lost() const {
    const Json* const lost = journal_.find(lost_key);
    if (lost == nullptr || lost->is_null()) return "";
    const std::string file = journal_.file().string();
    return JsonField(*lost, file).member("reason").text();
}

void VerdictJudge::forgive() {
    if (lost().empty()) return;
    journal_.remember(lost_key, nullptr);
    restarts_left_ = 1;
}

ModelAnswer VerdictJudge::verdict_of(const ModelQuestion& question) const {
    const std::string file = journal_.file().string();
    ModelAnswer verdict;
    for (const std::string& document : question.documents) {
        const Json* const answer = journal_.find(key_of(question.scorer, document));
        if (answer == nullptr) return {{}, lost()};
        const JsonField field(*answer, file);
        if (const auto error = field.optional_member("error")) return {{}, error->text()};
        verdict.kl.push_back(field.member("kl").numbers());
    }
    return verdict;
}

} // namespace evictlab::evolution
