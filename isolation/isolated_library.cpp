// SPDX-License-Identifier: MIT
#include "isolation/isolated_library.hpp"

#include <fmt/format.h>

#include <cstring>

#include "digest/digest.hpp"
#include "framework/plugin/library_file.hpp"
#include "isolation/descriptor_json.hpp"
#include "isolation/layers.hpp"

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
    : file_(std::filesystem::absolute(file).lexically_normal()), pool_(std::move(pool)) {
    if (const auto defect = library_file_defect(file_); !defect.empty()) throw PluginError(label(), "load", defect);
    stamp_ = stamp();
    sha256_ = sha256_hex_of_file(file_).value_or("");
    try {
        auto worker = pool_->make();
        json_ = load(*worker);
        descriptors_ = descriptors_from_json(json_);
        place_ = words_of_place(worker->layers());
        pool_->note_layers(worker->layers());
        pool_->put(file_.string(), std::move(worker));
    } catch (const Interrupted&) {
        throw;
    } catch (const PluginError&) {
        throw;
    } catch (const std::exception& error) {
        throw PluginError(label(), "load", error.what());
    }
    check_unchanged("load");
}

std::string IsolatedLibrary::label() const {
    return descriptors_.empty() ? file_.string() : fmt::format("{} ({})", descriptors_[0].id, file_.string());
}

ScorerKey IsolatedLibrary::key(std::uint32_t rule, std::span<const double> values) const {
    return {rule, {values.begin(), values.end()}, fmt::format("{}\n{}\n{}", file_.string(), rule, bytes_of(values))};
}

/// Gives what the plugin says of itself.
std::string IsolatedLibrary::load(WorkerProcess& worker) const {
    const std::string path = file_.string();
    write_behind_request(worker, path.data(), path.size());
    const Answer answer = worker.ask({Command::load, 0, path.size()});
    if (answer.kind != Answer::Kind::done)
        throw PluginError(answer.plugin.empty() ? label() : answer.plugin, answer.phase, answer.cause);
    return worker.text();
}

/// One that has loaded the file and run no scorer yet.
std::unique_ptr<WorkerProcess> IsolatedLibrary::loaded_worker() {
    if (auto worker = pool_->take(file_.string())) return worker;
    auto worker = pool_->make();
    if (load(*worker) != json_)
        throw PluginError(label(), "load", "says other things of itself than when it was first loaded");
    return worker;
}

std::unique_ptr<WorkerProcess> IsolatedLibrary::worker_with_instance(const ScorerKey& key) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = broken_.find(key.text); known != broken_.end()) throw PluginError(known->second);
    }
    check_unchanged("create");
    auto worker = pool_->take(key.text);
    if (!worker) worker = loaded_worker();
    write_behind_request(*worker, key.values.data(), key.values.size() * sizeof(double));
    const Answer answer = worker->ask({Command::create, key.rule, key.values.size()});
    if (answer.kind == Answer::Kind::failed) pool_->put(key.text, std::move(worker));
    check(key, answer);
    return worker;
}

void IsolatedLibrary::end_instance(const ScorerKey& key, std::unique_ptr<WorkerProcess> worker) {
    const Answer answer = worker->ask({Command::destroy});
    if (answer.kind == Answer::Kind::done) pool_->put(key.text, std::move(worker));
    check(key, answer);
}

void IsolatedLibrary::check(const ScorerKey& key, const Answer& answer) {
    if (answer.kind == Answer::Kind::done) return;
    if (answer.kind == Answer::Kind::dead) check_unchanged(answer.phase); // what it died of, most likely
    const PluginError error(label(), answer.phase, answer.cause);
    if (answer.kind == Answer::Kind::dead) {
        const std::lock_guard lock(mutex_);
        if (broken_.size() == most_broken) broken_.erase(broken_.begin()); // a long search breaks thousands
        throw PluginError(broken_.emplace(key.text, error).first->second);
    }
    throw PluginError(error);
}

bool IsolatedLibrary::Stamp::operator==(const Stamp& other) const {
    const auto same = [](const timespec& a, const timespec& b) {
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    return device == other.device && inode == other.inode && size == other.size && same(modified, other.modified) &&
           same(changed, other.changed);
}

std::optional<IsolatedLibrary::Stamp> IsolatedLibrary::stamp() const {
    struct stat status {};
    if (::stat(file_.c_str(), &status) != 0) return std::nullopt;
    return Stamp{status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim};
}

void IsolatedLibrary::check_unchanged(std::string_view phase) {
    const auto now = stamp();
    const std::lock_guard lock(mutex_);
    if (now && stamp_ && *now == *stamp_) return;
    const std::string hash = sha256_hex_of_file(file_).value_or("");
    if (hash == sha256_) {
        stamp_ = now; // touched, or copied over itself
        return;
    }
    throw PluginError(label(), phase,
                      fmt::format("its file changed while it was in use: sha256 {:.12} when it was loaded, now {:.12}",
                                  sha256_, hash.empty() ? "no such file" : hash));
}

} // namespace evictlab::isolation
