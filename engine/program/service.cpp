// SPDX-License-Identifier: MIT
#include "engine/program/service.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <thread>

#include "base/json/json_field.hpp"
#include "base/text/shown.hpp"
#include "framework/cut/shape_json.hpp"

namespace evictlab::engine {
namespace {

constexpr std::size_t longest_line = 16 << 20;

/// Lines of a file descriptor. A longer one than is read is cut to nothing, which is no request.
class LineReader {
public:
    explicit LineReader(int descriptor) : descriptor_(descriptor) {}

    std::optional<std::string> next() {
        std::string line;
        bool any = false, too_long = false;
        for (;;) {
            if (at_ == filled_ && !fill()) break;
            any = true;
            const char* from = block_.data() + at_;
            const auto* end = static_cast<const char*>(std::memchr(from, '\n', filled_ - at_));
            const std::size_t count = end != nullptr ? static_cast<std::size_t>(end - from) : filled_ - at_;
            too_long = too_long || line.size() + count > longest_line;
            if (!too_long) line.append(from, count);
            at_ += count + (end != nullptr ? 1 : 0);
            if (end != nullptr) break;
        }
        if (!any) return std::nullopt;
        return too_long ? fmt::format("a line of more than {} bytes", longest_line) : line;
    }

private:
    bool fill() {
        ssize_t count = 0;
        do count = ::read(descriptor_, block_.data(), block_.size());
        while (count < 0 && errno == EINTR);
        at_ = 0;
        filled_ = count > 0 ? static_cast<std::size_t>(count) : 0;
        return filled_ > 0;
    }

    int descriptor_;
    std::array<char, 65536> block_{};
    std::size_t at_ = 0, filled_ = 0;
};

/// One JSON object a line. Threads may share it.
class LineWriter {
public:
    explicit LineWriter(int descriptor) : descriptor_(descriptor) {}

    /// Where nobody reads any more, nothing.
    void write(const Json& value) {
        const std::string line = value.dump() + "\n";
        const std::lock_guard guard(lock_);
        for (std::size_t at = 0; at < line.size();) {
            const ssize_t count = ::write(descriptor_, line.data() + at, line.size() - at);
            if (count >= 0)
                at += static_cast<std::size_t>(count);
            else if (errno == EPIPE)
                return;
            else if (errno != EINTR)
                throw Error(fmt::format("cannot write an answer: {}", std::strerror(errno)));
        }
    }

    /// Whether the reader of a pipe is gone.
    bool closed() const {
        pollfd asked{descriptor_, 0, 0};
        return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLERR | POLLHUP)) != 0;
    }

private:
    int descriptor_;
    std::mutex lock_;
};

/// A request, and what is known of its answer.
struct Question {
    Json id;
    std::unique_ptr<Scorer> scorer;
    std::vector<std::size_t> documents;
    std::vector<Budget> budgets;
    Shape shape;

    std::mutex lock;
    std::vector<std::vector<double>> divergences; ///< [document]; empty: not yet
    std::size_t missing = 0;
    bool failed = false;
};

std::vector<double> retentions_of(const Json& request) {
    const auto given = request.find("retentions");
    if (given == request.end() || !given->is_array() || given->empty())
        throw Error("\"retentions\" is not a list of numbers, as [0.1, 0.25]");
    std::vector<double> all;
    for (const Json& value : *given) {
        if (!value.is_number() || !(value.get<double>() > 0 && value.get<double>() <= 1))
            throw Error(fmt::format("\"retentions\" has {}; a retention is above 0 and at most 1", value.dump()));
        all.push_back(value.get<double>());
    }
    return all;
}

/// Shares, which are the names of the numbers of tokens where the request has any.
std::vector<Budget> budgets_of(const Json& request) {
    std::vector<Budget> budgets;
    for (const double retention : retentions_of(request)) budgets.push_back({retention, 0});
    const auto keep = request.find("keep");
    if (keep == request.end()) return budgets;
    if (!keep->is_array() || keep->size() != budgets.size())
        throw Error("\"keep\" is not a list of as many numbers of tokens as \"retentions\" has names for");
    for (std::size_t i = 0; i < budgets.size(); ++i) {
        const Json& value = (*keep)[i];
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() == 0)
            throw Error(fmt::format("\"keep\" has {}, but must have whole numbers above 0", value.dump()));
        budgets[i] = {0, value.get<std::size_t>()};
    }
    return budgets;
}

Shape shape_of(const Json& given) {
    const std::string request = "the request";
    const JsonField field(given, request, "shape");
    Shape all; // of all that a shape may have the names
    all.block_score = BlockScore::max;
    const Json known = to_json(all);
    for (const auto& [name, value] : field.object().items())
        if (!known.contains(name)) field.fail(fmt::format("\"{}\" is nothing that a shape has", text::line(name, 100)));
    return shape_from_json(field);
}

class Service {
public:
    Service(Judge& judge, const Lab& lab, LineWriter& answers) : judge_(judge), lab_(lab), answers_(answers) {
        for (std::size_t i = 0; i < judge.documents().documents.size(); ++i)
            places_[judge.documents().documents[i].name] = i;
    }

    void start(std::size_t workers) {
        for (std::size_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
    }

    /// Takes a line; what is wrong with it is answered.
    void take(const std::string& line) {
        Json id; // null
        try {
            Json request;
            try {
                request = parse_within(line);
            } catch (const JsonProblem& problem) {
                throw Error(fmt::format("not a line of JSON: {}", problem.what()));
            }
            if (!request.is_object()) throw Error("a request is a JSON object");
            id = request.value("id", Json());
            const std::shared_ptr<Question> question = question_of(request);
            const std::lock_guard guard(lock_);
            for (std::size_t i = 0; i < question->documents.size(); ++i) open_.emplace_back(question, i);
            wake_.notify_all();
        } catch (const std::exception& error) {
            answers_.write({{"id", id}, {"error", error.what()}});
        }
    }

    /// Waits until all that was asked is answered. Throws what a worker failed by.
    void finish() {
        {
            const std::lock_guard guard(lock_);
            ended_ = true;
            wake_.notify_all();
        }
        for (std::thread& thread : threads_) thread.join();
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    using Task = std::pair<std::shared_ptr<Question>, std::size_t>;

    std::shared_ptr<Question> question_of(const Json& request) const {
        const auto question = std::make_shared<Question>();
        question->id = request.value("id", Json());
        if (question->id.is_null()) throw Error("the request has no \"id\"");
        const auto scorer = request.find("scorer"), documents = request.find("documents");
        if (scorer == request.end() || !scorer->is_string() || scorer->get_ref<const std::string&>().empty())
            throw Error("\"scorer\" is not a text");
        if (documents == request.end() || !documents->is_array() || documents->empty())
            throw Error("\"documents\" is not a list of names");
        for (const Json& name : *documents) {
            const auto place = name.is_string() ? places_.find(name.get<std::string>()) : places_.end();
            if (place == places_.end())
                throw Error(fmt::format("no document {} is served; the first line lists those that are, of the splits "
                                        "train and valid",
                                        name.dump()));
            question->documents.push_back(place->second);
        }
        question->budgets = budgets_of(request);
        question->scorer = std::make_unique<Scorer>(lab_, scorer->get<std::string>());
        const auto shape = request.find("shape");
        question->shape = shape != request.end() ? shape_of(*shape) : judge_.shape();
        check_scorer(*question->scorer, question->shape, false);
        question->missing = question->documents.size();
        question->divergences.resize(question->missing);
        return question;
    }

    std::optional<Task> next_task() {
        std::unique_lock guard(lock_);
        wake_.wait(guard, [&] { return ended_ || !open_.empty(); });
        if (open_.empty()) return std::nullopt;
        Task task = std::move(open_.front());
        open_.pop_front();
        return task;
    }

    void work() {
        try {
            const std::unique_ptr<Sequence> worker = judge_.worker();
            while (std::optional<Task> task = next_task())
                if (!answers_.closed()) judge_one(*worker, *task->first, task->second);
        } catch (...) {
            const std::lock_guard guard(lock_);
            if (!failure_) failure_ = std::current_exception();
        }
    }

    void judge_one(Sequence& worker, Question& question, std::size_t index) {
        {
            const std::lock_guard guard(question.lock);
            if (question.failed) return;
        }
        const std::size_t document = question.documents[index];
        std::vector<double> divergences;
        std::string error;
        try {
            divergences = judge_.divergences(worker, *question.scorer, question.shape, document, question.budgets);
        } catch (const std::exception& problem) { // one scorer's trouble must not end the service
            error = fmt::format("{} on {}: {}", question.scorer->text(), judge_.documents().documents[document].name,
                                problem.what());
        }
        const std::lock_guard guard(question.lock);
        if (question.failed) return;
        if (!error.empty()) {
            question.failed = true;
            answers_.write({{"id", question.id}, {"error", error}});
            return;
        }
        question.divergences[index] = std::move(divergences);
        if (--question.missing == 0) answers_.write({{"id", question.id}, {"kl", question.divergences}});
    }

    Judge& judge_;
    const Lab& lab_;
    LineWriter& answers_;
    std::map<std::string, std::size_t> places_;
    std::mutex lock_;
    std::condition_variable wake_;
    std::deque<Task> open_;
    bool ended_ = false;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

Json introduction(const Judge& judge, const ServiceOptions& options) {
    Json documents = Json::array();
    for (const Document& document : judge.documents().documents)
        documents.push_back({{"name", document.name}, {"kind", document.kind}, {"split", document.split}});
    return {{"protocol", "evictlab-judge/1"}, {"judge", options.judge}, {"documents", documents},
            {"parallel", options.workers},    {"shapes", true},         {"keep", true}};
}

} // namespace

void serve(Judge& judge, const Lab& lab, const ServiceOptions& options, int in, int out) {
    std::signal(SIGPIPE, SIG_IGN);
    LineWriter answers(out);
    answers.write(introduction(judge, options));
    Service service(judge, lab, answers);
    service.start(options.workers);
    LineReader requests(in);
    try {
        while (const std::optional<std::string> line = requests.next())
            if (line->find_first_not_of(" \t\r\n\f\v") != std::string::npos) service.take(*line);
    } catch (...) {
        service.finish();
        throw;
    }
    service.finish();
}

} // namespace evictlab::engine
