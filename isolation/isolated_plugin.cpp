// SPDX-License-Identifier: MIT
#include "isolation/isolated_plugin.hpp"

#include <cstring>
#include <optional>
#include <vector>

#include "base/numeric/aligned.hpp"
#include "isolation/isolated_library.hpp"
#include "isolation/packed_batch.hpp"
#include "isolation/packed_model.hpp"

namespace evictlab::isolation {
namespace {

class IsolatedInstance;

/// A worker with an instance, for as long as this lives.
class Lease {
public:
    explicit Lease(const IsolatedInstance& owner);
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();
    WorkerProcess& worker() const { return *worker_; }
    /// IsolatedLibrary::settle(): the worker may be another one then. None is given back of a scorer that broke.
    void settle(Answer answer, const Ask& ask);
    /// Whether the scorer broke elsewhere meanwhile.
    bool unwanted() const;
    void drop() { worker_.reset(); }

private:
    const IsolatedInstance& owner_;
    Worker worker_;
};

/// Of a concurrent plugin as many instances as threads ask for, each in a worker of its own; of another one only.
class IsolatedInstance final : public ScorerInstance {
public:
    IsolatedInstance(std::shared_ptr<const Plugin> rule, std::shared_ptr<IsolatedLibrary> library, ScorerKey key)
        : ScorerInstance(std::move(rule)), library_(std::move(library)), key_(std::move(key)),
          columns_(plugin().column_patterns().size()) {
        free_.push_back(library_->worker_with_instance(key_));
    }
    ~IsolatedInstance() override {
        try {
            end();
        } catch (const Error&) { // the scorer is known to be broken, or somebody stopped us
        }
    }

    void score(const evl_batch& batch, double* scores) const override;
    std::size_t layer_budget(const evl_budget_query& query) const override;
    void head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const override;
    void layer_facts(const evl_batch& batch, const double* scores, std::span<double> facts) const override;
    void model_budgets(const evl_model_query& query, std::span<std::uint64_t> kept) const override;
    void model_scores(const evl_model_query& query, std::span<double* const> scores) const override;
    std::unique_ptr<BatchQueue> queue(std::shared_ptr<SharedRows>& rows) const override;

    void end() override {
        for (std::vector<Worker> left = std::move(free_); !left.empty(); left.pop_back())
            library_->end_instance(key_, std::move(left.back()));
    }

    std::size_t columns() const { return columns_; }
    IsolatedLibrary& library() const { return *library_; }
    const ScorerKey& key() const { return key_; }

private:
    friend class Lease;
    void ask_of_model(Lease& lease, Command command, const evl_model_query& query, std::size_t answer,
                      std::string_view phase) const;
    std::shared_ptr<IsolatedLibrary> library_;
    ScorerKey key_;
    std::size_t columns_;
    mutable std::mutex mutex_;
    mutable std::vector<Worker> free_;
};

Lease::Lease(const IsolatedInstance& owner) : owner_(owner) {
    {
        const std::lock_guard lock(owner.mutex_);
        if (!owner.free_.empty()) {
            worker_ = std::move(owner.free_.back());
            owner.free_.pop_back();
        }
    }
    if (!worker_) worker_ = owner.library_->worker_with_instance(owner.key_);
}

Lease::~Lease() {
    if (!worker_) return;
    const std::lock_guard lock(owner_.mutex_);
    owner_.free_.push_back(std::move(worker_));
}

void Lease::settle(Answer answer, const Ask& ask) {
    if (answer.kind == Answer::Kind::done) return;
    try {
        owner_.library().settle(owner_.key(), worker_, std::move(answer), ask);
    } catch (...) {
        if (worker_ && !worker_->alive()) drop();
        throw;
    }
}

bool Lease::unwanted() const { return owner_.library().is_broken(owner_.key()); }

class IsolatedQueue final : public BatchQueue {
public:
    explicit IsolatedQueue(const IsolatedInstance& instance, std::shared_ptr<RowMemory> rows = nullptr)
        : instance_(instance), lease_(instance), rows_(std::move(rows)) {
        write_to_worker();
    }
    ~IsolatedQueue() override {
        if (started_) lease_.drop(); // it may still be writing
    }

    void add(const evl_batch& batch) override {
        try {
            const std::size_t place = writer_->add(batch, instance_.columns());
            places_.push_back({place, std::size_t{batch.heads} * batch.tokens});
        } catch (const PluginError&) {
            throw;
        } catch (const Error& error) {
            throw PluginError(instance_.plugin().label(), "score", error.what());
        }
    }
    void start() override {
        requests_ = requests();
        started_ = true;
        lease_.worker().start(requests_.front());
    }
    void finish() override {
        Answer answer = finish_in(lease_.worker());
        started_ = false;
        if (answer.kind == Answer::Kind::done) return;
        const std::byte* const begin = lease_.worker().input().data();
        const std::vector<std::byte> packed(begin + request_size, begin + writer_->end());
        lease_.settle(std::move(answer), [&](WorkerProcess& fresh) {
            write_behind_request(fresh, packed.data(), packed.size());
            fresh.output().reach(writer_->output_end());
            requests_ = requests_of(packed);
            fresh.start(requests_.front());
            return finish_in(fresh);
        });
        write_to_worker();
    }
    void scores(std::size_t index, double* scores) const override {
        const Place& place = places_[index];
        std::memcpy(scores, lease_.worker().output().data() + place.at, place.count * sizeof(double));
        if (index + 1 < places_.size()) prefetch(places_[index + 1]); // while these are judged
    }
    void clear() override {
        writer_->clear();
        places_.clear();
    }

private:
    struct Place {
        std::size_t at, count;
    };
    void write_to_worker() {
        WorkerProcess& worker = lease_.worker();
        writer_.emplace(worker.input(), worker.output(), request_size, rows_.get());
    }
    std::vector<Request> requests() const {
        const std::byte* const begin = lease_.worker().input().data();
        return requests_of({begin + request_size, begin + writer_->end()});
    }
    /// One for all batches; of a scorer that is slow one for each, which then has the time-out to itself.
    std::vector<Request> requests_of(std::span<const std::byte> packed) const {
        const bool twice = instance_.plugin().deterministic();
        if (!instance_.library().is_slow(instance_.key()))
            return {{Command::score, 0, places_.size(), twice ? FirstBatch::twice : FirstBatch::closely}};
        std::vector<Request> each;
        for (std::size_t i = 0, at = request_size; i < places_.size(); ++i) {
            each.push_back({Command::score, 0, 1, i == 0 ? FirstBatch::closely : FirstBatch::once, at});
            if (i == 0 && twice) each.push_back({Command::score, 0, 1, FirstBatch::again, at});
            at = reinterpret_cast<const PackedBatch*>(packed.data() + at - request_size)->next;
        }
        return each;
    }
    /// What was started, and the requests behind it.
    Answer finish_in(WorkerProcess& worker) {
        const auto unwanted = [this] { return lease_.unwanted(); };
        Answer answer = worker.finish(unwanted);
        for (std::size_t i = 1; answer.kind == Answer::Kind::done && i < requests_.size(); ++i)
            answer = worker.ask(requests_[i], unwanted);
        return answer;
    }
    /// The worker's processor core has them.
    void prefetch(const Place& place) const {
        const std::byte* const begin = lease_.worker().output().data() + place.at;
        for (std::size_t at = 0; at < place.count * sizeof(double); at += cache_line) __builtin_prefetch(begin + at);
    }
    const IsolatedInstance& instance_;
    Lease lease_;
    std::shared_ptr<RowMemory> rows_; ///< null where it shares none
    std::optional<BatchWriter> writer_;
    std::vector<Place> places_;
    std::vector<Request> requests_; ///< of what was started
    bool started_ = false;
};

void IsolatedInstance::score(const evl_batch& batch, double* scores) const {
    IsolatedQueue queue(*this);
    queue.add(batch);
    queue.start();
    queue.finish();
    queue.scores(0, scores);
}

std::unique_ptr<BatchQueue> IsolatedInstance::queue(std::shared_ptr<SharedRows>& rows) const {
    if (!rows) rows = RowMemory::make(library_->rows());
    auto memory = std::dynamic_pointer_cast<RowMemory>(rows);
    if (memory && &memory->store() != library_->rows().get()) memory = nullptr; // its workers do not have that
    return std::make_unique<IsolatedQueue>(*this, std::move(memory));
}

std::size_t IsolatedInstance::layer_budget(const evl_budget_query& query) const {
    Lease lease(*this);
    const Ask ask = [&](WorkerProcess& worker) {
        write_behind_request(worker, &query, sizeof query);
        return worker.ask({Command::layer_budget, 0, 1}, [&] { return lease.unwanted(); });
    };
    lease.settle(ask(lease.worker()), ask);
    return std::min<std::uint64_t>(lease.worker().number(), query.tokens);
}

void IsolatedInstance::head_budgets(const evl_batch& batch, const double* scores, std::span<std::uint64_t> kept) const {
    Lease lease(*this);
    std::size_t place = 0;
    const Ask ask = [&](WorkerProcess& worker) {
        BatchWriter writer(worker.input(), worker.output(), request_size);
        place = writer.add(batch, columns(), scores);
        return worker.ask({Command::head_budgets, 0, 1}, [&] { return lease.unwanted(); });
    };
    lease.settle(ask(lease.worker()), ask);
    std::memcpy(kept.data(), lease.worker().output().data() + place, kept.size_bytes());
    for (std::uint64_t& tokens : kept) tokens = std::min<std::uint64_t>(tokens, batch.tokens);
}

void IsolatedInstance::layer_facts(const evl_batch& batch, const double* scores, std::span<double> facts) const {
    Lease lease(*this);
    std::size_t place = 0;
    const Ask ask = [&](WorkerProcess& worker) {
        BatchWriter writer(worker.input(), worker.output(), request_size);
        place = writer.add(batch, columns(), scores);
        worker.output().reach(place + facts.size_bytes());
        return worker.ask({Command::layer_facts, 0, 1}, [&] { return lease.unwanted(); });
    };
    lease.settle(ask(lease.worker()), ask);
    std::memcpy(facts.data(), lease.worker().output().data() + place, facts.size_bytes());
}

void IsolatedInstance::ask_of_model(Lease& lease, Command command, const evl_model_query& query, std::size_t answer,
                                    std::string_view phase) const {
    const Ask ask = [&](WorkerProcess& worker) {
        pack_model(query, plugin().model_facts(), worker.input(), request_size);
        worker.output().reach(answer);
        return worker.ask({command, 0, 1}, [&] { return lease.unwanted(); });
    };
    try {
        lease.settle(ask(lease.worker()), ask);
    } catch (const PluginError&) {
        throw;
    } catch (const Interrupted&) {
        throw;
    } catch (const Error& error) { // more scores than its process can be given
        throw PluginError(plugin().label(), phase, error.what());
    }
}

void IsolatedInstance::model_scores(const evl_model_query& query, std::span<double* const> scores) const {
    Lease lease(*this);
    const std::span layers(query.layers, query.layer_count);
    std::size_t values = 0;
    for (const evl_scored_layer& layer : layers) values += std::size_t{layer.heads} * layer.tokens;
    ask_of_model(lease, Command::model_scores, query, values * sizeof(double), "score");
    const std::byte* from = lease.worker().output().data();
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const std::size_t size = std::size_t{layers[i].heads} * layers[i].tokens * sizeof(double);
        std::memcpy(scores[i], from, size);
        from += size;
    }
}

void IsolatedInstance::model_budgets(const evl_model_query& query, std::span<std::uint64_t> kept) const {
    Lease lease(*this);
    ask_of_model(lease, Command::model_budgets, query, kept.size_bytes(), "budget");
    std::memcpy(kept.data(), lease.worker().output().data(), kept.size_bytes());
    std::uint64_t* said = kept.data();
    for (const evl_scored_layer& layer : std::span(query.layers, query.layer_count))
        for (std::size_t head = 0; head < layer.heads; ++head, ++said)
            *said = std::min<std::uint64_t>(*said, layer.tokens);
}

class IsolatedBackend final : public PluginBackend {
public:
    IsolatedBackend(std::shared_ptr<IsolatedLibrary> library, std::uint32_t rule)
        : library_(std::move(library)), rule_(rule) {}
    std::unique_ptr<ScorerInstance> create(std::shared_ptr<const Plugin> rule,
                                           std::span<const double> values) const override {
        return std::make_unique<IsolatedInstance>(std::move(rule), library_, library_->key(rule_, values));
    }
    std::string_view place() const override { return library_->place(); }

private:
    std::shared_ptr<IsolatedLibrary> library_;
    std::uint32_t rule_;
};

} // namespace

std::shared_ptr<const Plugin> load_isolated(const std::filesystem::path& file, std::shared_ptr<WorkerPool> pool) {
    const auto library = std::make_shared<IsolatedLibrary>(file, std::move(pool));
    std::vector<Plugin::Rule> rules;
    std::uint32_t number = 0;
    for (Descriptor& descriptor : library->descriptors())
        rules.push_back({std::move(descriptor), std::make_shared<IsolatedBackend>(library, number++)});
    return Plugin::of(library->sealed(), std::move(rules));
}

} // namespace evictlab::isolation
