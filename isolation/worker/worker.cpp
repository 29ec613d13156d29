// SPDX-License-Identifier: MIT
#include "isolation/worker/worker.hpp"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "framework/plugin/sealed_library.hpp"
#include "isolation/control.hpp"
#include "isolation/descriptor_json.hpp"
#include "isolation/packed_batch.hpp"
#include "isolation/packed_model.hpp"
#include "isolation/worker/checked_process.hpp"
#include "isolation/worker/confinement.hpp"
#include "isolation/worker/crash_notes.hpp"
#include "isolation/worker/environment.hpp"
#include "isolation/worker/guarded_scores.hpp"
#include "isolation/worker/supervisor.hpp"

namespace evictlab::isolation {
namespace {

void take_signals() {
    for (const int signal : {SIGINT, SIGTERM}) (void)std::signal(signal, SIG_DFL);
    (void)std::signal(SIGXFSZ, SIG_IGN); // printing too much fails, and does not kill
}

class Worker {
public:
    Worker(Control& control, std::unique_ptr<SharedMemory> watch, std::uint32_t layers, Mapped& memory,
           GuardedScores& scores)
        : control_(control), watch_(std::move(watch)), layers_(layers), memory_(memory), scores_(scores) {}

    [[noreturn]] void run() {
        control_.up.store(1, std::memory_order_release);
        wake_all(control_.up);
        for (std::uint32_t done = 0;;) {
            while (control_.asked.load(std::memory_order_acquire) == done) {
                wait_while_equal(control_.asked, done, std::chrono::seconds(5)); // killed with the host
            }
            done = control_.asked.load(std::memory_order_acquire);
            answer();
            control_.answered.store(done, std::memory_order_release);
            wake_all(control_.answered);
        }
    }

private:
    const Request& request() const { return *reinterpret_cast<const Request*>(memory_.input.data()); }
    const std::byte* behind_request() const { return memory_.input.data() + request_size; }
    void answer() {
        try {
            obey();
            control_.outcome = Outcome::done;
        } catch (const PluginError& error) {
            fail(error.plugin, error.phase, error.cause);
        } catch (const std::exception& error) {
            fail("", "", error.what());
        }
    }

    template <std::size_t size>
    static void write(char (&memory)[size], std::string_view text) {
        const std::size_t count = std::min(text.size(), size - 1);
        std::memcpy(memory, text.data(), count);
        memory[count] = '\0';
    }

    void fail(std::string_view plugin, std::string_view phase, std::string_view cause) {
        write(control_.plugin, plugin);
        write(control_.at, phase);
        write(control_.cause, cause);
        control_.outcome = Outcome::failed;
    }

    void obey() {
        switch (request().command) {
        case Command::load:
            return load();
        case Command::create:
            return create();
        case Command::score:
            return score();
        case Command::layer_budget:
            return layer_budget();
        case Command::head_budgets:
            return head_budgets();
        case Command::layer_facts:
            return layer_facts();
        case Command::model_budgets:
            return model_budgets();
        case Command::model_scores:
            return model_scores();
        case Command::destroy:
            instance_->end();
            instance_.reset();
            return refuse_changes("destroy");
        case Command::check:
            return check();
        }
    }

    void refuse_changes(std::string_view phase) {
        if (const std::string changed = environment_.restore(); !changed.empty())
            throw PluginError(plugin_->label(), phase, changed);
    }

    std::string text_behind_request() const {
        return {reinterpret_cast<const char*>(behind_request()), request().count};
    }

    void answer_text(std::string_view text) {
        std::memcpy(control_.text, text.data(), text.size());
        control_.text_size = text.size();
    }

    static std::shared_ptr<const SealedLibrary> library_called(const std::string& file) {
        return std::make_shared<const SealedLibrary>(library_descriptor, file);
    }

    /// Before the first of the plugin's instructions; what holds is told where the plugin cannot tell otherwise.
    void confine_for(const SealedLibrary& library) {
        if (!watch_) return;
        const std::uint32_t layers = layers_ | confine(library, control_.limits.without);
        reinterpret_cast<Watch*>(watch_->data())->layers = layers;
        watch_.reset();
    }

    void load() {
        const auto library = library_called(text_behind_request());
        confine_for(*library);
        plugin_ = Plugin::load_sealed(library);
        rules_ = plugin_->rules();
        refuse_changes("load");
        const std::string text = descriptors_to_json(*plugin_);
        if (text.size() > text_room)
            throw PluginError(plugin_->label(), "load",
                              fmt::format("what it says of itself has {} bytes, more than {}", text.size(), text_room));
        answer_text(text);
    }

    void create() {
        const std::span values(reinterpret_cast<const double*>(behind_request()), request().count);
        instance_.reset();
        instance_ = rules_.at(request().rule)->create(values);
        refuse_changes("create");
    }

    /// A batch that is watched closely costs more than its scoring; the others are by what lies next to their scores,
    /// and by the last score of each head.
    void score() {
        BatchReader reader(memory_.input.data(), memory_.rows.data());
        std::size_t next = request().begin;
        for (std::uint64_t i = 0; i < request().count; ++i) {
            next = reader.read(next);
            const std::span scores(reinterpret_cast<double*>(memory_.output.data() + reader.packed().scores_out),
                                   reader.score_count());
            if (i == 0 && request().first != FirstBatch::once)
                score_first(reader, scores);
            else
                score_next(reader, scores);
        }
        refuse_changes("score");
    }

    void score_first(const BatchReader& reader, std::span<double> scores) {
        const FirstBatch how = request().first;
        if (how != FirstBatch::again) std::ranges::copy(score_guarded(reader), scores.begin());
        if (how == FirstBatch::closely) return;
        const std::span<const double> again = score_guarded(reader);
        for (std::size_t i = 0; i < again.size(); ++i)
            if (std::bit_cast<std::uint64_t>(scores[i]) != std::bit_cast<std::uint64_t>(again[i]))
                fail_score(reader.batch(),
                           fmt::format("it says that it is deterministic, but two calls on one batch differ at {}",
                                       place(reader, i)));
    }

    std::span<const double> score_guarded(const BatchReader& reader) {
        const std::span<double> scores = scores_.take(reader.score_count());
        instance_->score(reader.batch(), scores.data());
        if (!scores_.begins_intact()) fail_score(reader.batch(), "wrote outside its buffer, before its scores");
        if (const auto at = std::ranges::find_if(scores, is_marked); at != scores.end())
            fail_unwritten(reader, static_cast<std::size_t>(at - scores.begin()));
        return scores;
    }

    void score_next(const BatchReader& reader, std::span<double> scores) {
        const std::size_t n = reader.batch().tokens;
        for (std::size_t last = n - 1; last < scores.size(); last += n) mark(scores.subspan(last, 1));
        mark(before(scores));
        mark(behind(scores));
        instance_->score(reader.batch(), scores.data());
        if (!std::ranges::all_of(before(scores), is_marked))
            fail_score(reader.batch(), "wrote outside its buffer, before its scores");
        if (!std::ranges::all_of(behind(scores), is_marked))
            fail_score(reader.batch(), "wrote outside its buffer, behind its scores");
        for (std::size_t last = n - 1; last < scores.size(); last += n)
            if (is_marked(scores[last])) fail_unwritten(reader, last);
    }

    static constexpr std::size_t margin = 2; ///< scores on either side that are looked at
    static_assert(margin * sizeof(double) <= output_margin);
    static std::span<double> behind(std::span<double> scores) { return {scores.data() + scores.size(), margin}; }
    static std::span<double> before(std::span<double> scores) { return {scores.data() - margin, margin}; }

    static std::string place(const BatchReader& reader, std::size_t index) {
        return fmt::format("head {}, position {}", index / reader.batch().tokens, index % reader.batch().tokens);
    }
    [[noreturn]] void fail_unwritten(const BatchReader& reader, std::size_t index) const {
        fail_score(reader.batch(), fmt::format("left scores unwritten, the first at {}", place(reader, index)));
    }
    [[noreturn]] void fail_score(const evl_batch& batch, const std::string& cause) const {
        throw PluginError(plugin_->label(), "score", fmt::format("layer {}: {}", batch.layer, cause));
    }

    void layer_budget() {
        evl_budget_query query{};
        std::memcpy(&query, behind_request(), sizeof query);
        control_.number = instance_->layer_budget(query);
        refuse_changes("budget");
    }

    void head_budgets() {
        BatchReader reader(memory_.input.data(), memory_.rows.data());
        reader.read(request_size);
        std::vector<std::uint64_t> kept(reader.batch().heads, reader.batch().kept);
        instance_->head_budgets(reader.batch(), reader.scores_in(), kept);
        std::memcpy(memory_.output.data() + reader.packed().scores_out, kept.data(), kept.size() * sizeof(kept[0]));
        refuse_changes("budget");
    }

    void layer_facts() {
        BatchReader reader(memory_.input.data(), memory_.rows.data());
        reader.read(request_size);
        std::vector<double> facts(instance_->plugin().model_facts());
        instance_->layer_facts(reader.batch(), reader.scores_in(), facts);
        std::memcpy(memory_.output.data() + reader.packed().scores_out, facts.data(), facts.size() * sizeof(facts[0]));
        refuse_changes("budget");
    }

    void model_budgets() {
        const PackedModel model(memory_.input.data(), request_size);
        std::vector<std::uint64_t> kept(model.heads());
        instance_->model_budgets(model.query(), kept);
        std::memcpy(memory_.output.data(), kept.data(), kept.size() * sizeof(kept[0]));
        refuse_changes("budget");
    }

    void model_scores() {
        const PackedModel model(memory_.input.data(), request_size);
        auto* const begin = reinterpret_cast<double*>(memory_.output.data());
        std::vector<double*> scores;
        double* next = begin;
        for (const evl_scored_layer& layer : std::span(model.query().layers, model.query().layer_count)) {
            scores.push_back(next);
            next = std::copy_n(layer.scores, std::size_t{layer.heads} * layer.tokens, next);
        }
        instance_->model_scores(model.query(), scores);
        refuse_changes("score");
    }

    void check() {
        CheckedProcess process(control_, memory_, scores_);
        const std::string text = text_behind_request();
        const auto line = text.find('\n');
        const auto library = library_called(text.substr(line + 1));
        confine_for(*library);
        const conformance::Test* const test = conformance::find_test(text.substr(0, line));
        if (!test) throw Error(fmt::format("no test '{}'", text.substr(0, line)));
        const conformance::Finding finding = conformance::run_test(*test, library, process);
        answer_text(std::string_view(finding.seen).substr(0, 2000));
        control_.number = static_cast<std::uint64_t>(finding.outcome);
    }

    Control& control_;
    std::unique_ptr<SharedMemory> watch_; ///< until the plugin runs
    std::uint32_t layers_;
    Mapped& memory_;
    GuardedScores& scores_;
    Environment environment_;
    std::shared_ptr<const Plugin> plugin_;
    std::vector<std::shared_ptr<const Plugin>> rules_;
    std::unique_ptr<ScorerInstance> instance_;
};

} // namespace

void run_worker(pid_t host) {
    (void)!::fchdir(folder_descriptor); // fails where the library has no need of it
    ::close(folder_descriptor);
    using Access = SharedMemory::Access;
    static const SharedMemory memory(control_descriptor, control_memory, Access::read_write);
    auto& control = *reinterpret_cast<Control*>(memory.data());
    auto watch = std::make_unique<SharedMemory>(watch_descriptor, watch_memory, Access::read_write);
    const std::uint32_t layers = supervise(host, control, *reinterpret_cast<Watch*>(watch->data()));
    take_signals();
    static const SharedMemory input(input_descriptor, input_memory, Access::read_only);
    static const SharedMemory output(output_descriptor, output_memory, Access::read_write);
    static const SharedMemory rows(rows_descriptor, control.rows_size, Access::read_only);
    static GuardedScores scores;
    static Mapped mapped{input, rows, output, scores, {}};
    ::syscall(SYS_close_range, static_cast<unsigned>(first_other), ~0U, 0U);
    note_crashes(control, mapped, limit_resources(control.limits));
    Worker(control, std::move(watch), layers, mapped, scores).run();
}

} // namespace evictlab::isolation
