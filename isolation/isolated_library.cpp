// SPDX-License-Identifier: MIT
#include "isolation/isolated_library.hpp"

#include <fmt/format.h>

#include <cstring>

#include "isolation/descriptor_json.hpp"
#include "isolation/layers.hpp"
#include "isolation/trial.hpp"

namespace evictlab::isolation {
namespace {

constexpr std::size_t most_broken = 1000; // scorers whose end is remembered

std::string bytes_of(std::span<const double> values) {
    std::string bytes(values.size_bytes(), '\0');
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::string words_of_place(std::uint32_t layers) {
    std::string words = "in a process of its own";
    if ((layers & filter_layer) != 0) words += ", its system calls filtered";
    if (const auto there = names_of_layers(layers); !there.empty()) words += fmt::format("; held by {}", there);
    if (const auto missing = names_of_layers(all_layers & ~layers); !missing.empty())
        words += fmt::format("; missing here: {}", missing);
    return words;
}

} // namespace

void write_behind_request(WorkerProcess& worker, const void* data, std::size_t bytes) {
    if (bytes > worker.input().size() - request_size) throw Error("a request to a plugin's process is too large");
    worker.input().reach(request_size + bytes);
    if (bytes > 0) std::memcpy(worker.input().data() + request_size, data, bytes);
}

IsolatedLibrary::IsolatedLibrary(const std::filesystem::path& file, std::shared_ptr<WorkerPool> pool)
    : pool_(std::move(pool)) {
    try {
        sealed_ = std::make_shared<const SealedLibrary>(file);
    } catch (const std::exception& error) {
        throw PluginError(std::filesystem::absolute(file).lexically_normal().string(), "load", error.what());
    }
    if (const auto defect = sealed_->defect(); !defect.empty()) throw PluginError(label(), "load", defect);
    try {
        Worker worker;
        const Ask nothing = [](WorkerProcess&) { return Answer{}; };
        settle(nullptr, worker, ask_fresh(worker, nothing), nothing);
        json_ = worker->text();
        descriptors_ = descriptors_from_json(json_);
        place_ = words_of_place(worker->layers());
        pool_->note_layers(worker->layers());
        pool_->put(sealed_->sha256(), std::move(worker));
    } catch (const Interrupted&) {
        throw;
    } catch (const PluginError&) {
        throw;
    } catch (const std::exception& error) {
        throw PluginError(label(), "load", error.what());
    }
}

std::string IsolatedLibrary::label() const {
    const std::string file = sealed_->file().string();
    return descriptors_.empty() ? file : fmt::format("{} ({})", descriptors_[0].id, file);
}

ScorerKey IsolatedLibrary::key(std::uint32_t rule, std::span<const double> values) const {
    return {rule, {values.begin(), values.end()}, fmt::format("{}\n{}\n{}", sealed_->sha256(), rule, bytes_of(values))};
}

/// Says what the plugin says of itself, or has said before.
Answer IsolatedLibrary::load(WorkerProcess& worker) {
    const std::string file = sealed_->file().string();
    write_behind_request(worker, file.data(), file.size());
    Answer answer = worker.ask({Command::load, 0, file.size()});
    // By what name it goes the worker says, which the plugin may have told it.
    if (const auto space = answer.plugin.find(' ');
        answer.plugin.substr(std::min(space, answer.plugin.size())) != fmt::format(" ({})", file) ||
        !is_identifier(answer.plugin.substr(0, space)))
        answer.plugin.clear();
    if (answer.kind == Answer::Kind::done && !json_.empty() && worker.text() != json_)
        return {Answer::Kind::failed, {}, "load", "says other things of itself than when it was first loaded"};
    return answer;
}

Answer IsolatedLibrary::create(WorkerProcess& worker, const ScorerKey& key) const {
    write_behind_request(worker, key.values.data(), key.values.size() * sizeof(double));
    return worker.ask({Command::create, key.rule, key.values.size()}, [&] { return is_broken(key); });
}

/// Of a new worker that has loaded the library.
Answer IsolatedLibrary::ask_fresh(Worker& worker, const Ask& ask) {
    worker.reset();
    try {
        worker = pool_->make(sealed_.get());
    } catch (const Error& error) { // no process, no memory, no descriptors
        return {Answer::Kind::dead, {}, "load", error.what(), Ending::unborn};
    }
    Answer answer = load(*worker);
    return answer.kind == Answer::Kind::done ? ask(*worker) : answer;
}

void IsolatedLibrary::settle(const ScorerKey& key, Worker& worker, Answer answer, const Ask& ask) {
    settle(&key, worker, std::move(answer), [&](WorkerProcess& fresh) {
        Answer created = create(fresh, key);
        return created.kind == Answer::Kind::done ? ask(fresh) : created;
    });
}

void IsolatedLibrary::settle(const ScorerKey* key, Worker& worker, Answer answer, const Ask& ask) {
    Trial trial(*pool_);
    // Where another plugin has all threads, those that this one asked for may have failed.
    if (answer.kind == Answer::Kind::failed && pool_->end_hogs(false)) answer = ask_fresh(worker, ask);
    while (answer.kind == Answer::Kind::dead || answer.kind == Answer::Kind::slow) {
        if (answer.kind == Answer::Kind::slow) {
            const std::lock_guard lock(mutex_);
            slow_.insert(key->text);
        } else {
            const Trial::Ruling ruling = trial.rule(answer);
            if (ruling == Trial::Ruling::guilty) fail(key, answer);
            if (ruling == Trial::Ruling::outside)
                throw PluginError(label(), answer.phase,
                                  fmt::format("no answer, for reasons outside of it: {}", trial.hindrance()),
                                  Blame::outside);
            trial.begin();
        }
        answer = ask_fresh(worker, ask);
    }
    if (answer.kind == Answer::Kind::failed)
        throw PluginError(answer.plugin.empty() ? label() : answer.plugin, answer.phase, answer.cause);
}

/// Of what others found out already, they are the first to tell.
void IsolatedLibrary::fail(const ScorerKey* key, const Answer& answer) {
    const PluginError error(label(), answer.phase, answer.cause);
    if (!key) throw PluginError(error);
    const std::lock_guard lock(mutex_);
    if (broken_.size() == most_broken && !broken_.contains(key->text))
        broken_.erase(broken_.begin()); // a long search breaks thousands
    throw PluginError(broken_.emplace(key->text, error).first->second);
}

bool IsolatedLibrary::is_broken(const ScorerKey& key) const {
    const std::lock_guard lock(mutex_);
    return broken_.contains(key.text);
}

bool IsolatedLibrary::is_slow(const ScorerKey& key) const {
    const std::lock_guard lock(mutex_);
    return slow_.contains(key.text);
}

Worker IsolatedLibrary::worker_with_instance(const ScorerKey& key) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = broken_.find(key.text); known != broken_.end()) throw PluginError(known->second);
    }
    Worker worker = pool_->take(key.text);
    if (!worker) worker = pool_->take(sealed_->sha256());
    const Ask nothing = [](WorkerProcess&) { return Answer{}; };
    Answer answer =
        worker ? create(*worker, key) : ask_fresh(worker, [&](WorkerProcess& fresh) { return create(fresh, key); });
    const bool refused = answer.kind == Answer::Kind::failed && answer.phase != "load";
    if (refused && worker) pool_->put(key.text, std::move(worker));
    settle(key, worker, std::move(answer), nothing);
    return worker;
}

void IsolatedLibrary::end_instance(const ScorerKey& key, Worker worker) {
    const Ask destroy = [](WorkerProcess& asked) { return asked.ask({Command::destroy}); };
    settle(key, worker, destroy(*worker), destroy);
    pool_->put(key.text, std::move(worker));
}

} // namespace evictlab::isolation
