// SPDX-License-Identifier: MIT
#include "evolution/external/fitness_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/text/shown.hpp"
#include "framework/fitness/numeric_probe.hpp"

namespace evictlab::evolution {
namespace {

constexpr std::string_view protocols[] = {fitness_protocol};
constexpr unsigned most_losses = 5;
constexpr std::chrono::milliseconds longest_rest{60'000}, look_around{20};

/// Of the worker: what is said of it holds for its next process, too.
struct Refused : Error {
    using Error::Error;
};

void check_introduction(const Json& json, const std::string& version) {
    const auto said = [&json](const char* what) {
        const auto text = json.find(what);
        if (text == json.end() || !text->is_string())
            throw Refused(fmt::format("introduces itself without \"{}\"", what));
        return text->get<std::string>();
    };
    const std::string theirs = said("evictlab");
    if (theirs != version)
        throw Refused(fmt::format("is evictlab {}, and this is {}", text::sentence(theirs, words_shown), version));
    if (said("probe") != numeric_probe())
        throw Refused("is on a machine that rounds otherwise than this one, so that figures would not be those of one "
                      "process: use machines of one kind, with the same C library");
}

} // namespace

FitnessWorker::FitnessWorker(const FitnessWorkerOptions& options, std::size_t number, Json hold)
    : options_(options), number_(number), hold_(std::move(hold)), stop_(options.stop) {}

std::string FitnessWorker::name() const {
    return fmt::format("fitness worker {} of {} ({})", number_ + 1, options_.commands.size(),
                       text::sentence(options_.commands[number_], 100));
}

/// One that dies at once, killed perhaps, is tried once more.
void FitnessWorker::start() {
    for (bool again = false;; again = true) {
        try {
            return begin();
        } catch (const ProcessFailure& failure) {
            process_.reset();
            if (again || failure.kind != ProcessFailure::Kind::died)
                throw Error(
                    fmt::format("{} does not work: it {}. Mend the command, or what it needs", name(), failure.what()));
        } catch (const Refused& refused) {
            throw Error(fmt::format("{} {}", name(), refused.what()));
        }
    }
}

/// A new process that holds its part.
void FitnessWorker::begin() {
    process_ = std::make_unique<JsonProcess>(options_.commands[number_], protocols, options_.timeout, stop_);
    check_introduction(process_->introduction(), options_.version);
    Json layouts;
    exchange({hold_, [] {},
              [&](const Json& answer) {
                  layouts = answer.at("layout");
                  return true;
              }});
    if (layouts_.is_null())
        layouts_ = std::move(layouts);
    else if (layouts_ != layouts)
        throw Refused("holds something else than before it was lost");
}

void FitnessWorker::exchange(const Question& question) {
    Json request;
    const std::uint64_t id = request["id"] = ++last_id_;
    request.update(question.request);
    question.begin();
    process_->send(request);
    while (!question.take(receive(id))) {
    }
}

/// The next line of an answer; what is no such line is the process's failure.
Json FitnessWorker::receive(std::uint64_t id) {
    Json answer = process_->receive(stop_);
    if (const auto error = answer.find("error"); error != answer.end() && error->is_string())
        throw Refused(fmt::format("cannot do it: {}", text::sentence(error->get<std::string>(), words_shown)));
    if (const auto given = answer.find("id"); given == answer.end() || *given != id)
        throw ProcessFailure(ProcessFailure::Kind::nonsense, "answers what was not asked");
    return answer;
}

void FitnessWorker::ask(const Question& question) {
    if (!lost_.empty()) throw FitnessLost(lost_);
    for (;;) {
        try {
            if (!process_) begin();
            exchange(question);
            losses_ = 0;
            return;
        } catch (const ProcessFailure& failure) {
            process_.reset();
            if (failure.kind == ProcessFailure::Kind::nonsense || ++losses_ > most_losses) lose(failure.what());
            if (options_.tell) options_.tell(fmt::format("{} {}; it is started again", name(), failure.what()));
            rest();
        } catch (const Refused& refused) {
            process_.reset();
            lose(refused.what());
        } catch (const Json::exception& error) {
            process_.reset();
            lose(fmt::format("wrote nonsense: {}", text::sentence(error.what(), words_shown)));
        } catch (const Interrupted&) {
            process_.reset();
            throw;
        } catch (const Error& error) {
            process_.reset();
            lose(fmt::format("wrote nonsense: {}", text::sentence(error.what(), words_shown)));
        } catch (...) { // what is under way would be answered to somebody who asks something else
            process_.reset();
            throw;
        }
    }
}

void FitnessWorker::rest() {
    const auto longest = std::min(longest_rest, options_.first_rest * (1 << (losses_ - 1)));
    for (auto until = StopSignal::Clock::now() + longest; StopSignal::Clock::now() < until;) {
        stop_.check();
        std::this_thread::sleep_for(look_around);
    }
}

void FitnessWorker::lose(const std::string& why) {
    lost_ = fmt::format("{} {}", name(), why);
    throw FitnessLost(lost_);
}

} // namespace evictlab::evolution
