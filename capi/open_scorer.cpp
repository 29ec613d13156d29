// Opening scorers, and what they need. SPDX-License-Identifier: MIT
#include "capi/open_scorer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/digest/digest.hpp"
#include "capi/guard.hpp"
#include "capi/lab.hpp"
#include "framework/columns/query_reader.hpp"
#include "framework/scorers/calibration_needs.hpp"
#include "framework/scorers/class_json.hpp"
#include "framework/scorers/full_name.hpp"
#include "framework/scorers/published.hpp"

using namespace evictlab;

namespace {

/// Everything that decides the scores, in words.
std::string content_of(const Scorer& scorer) {
    if (scorer.is_formula()) return "formula " + formula::print(scorer.formula());
    const Plugin& plugin = *scorer.plugin();
    std::string content = fmt::format("plugin {} {} {}", plugin.id(), plugin.name(), plugin.file_sha256());
    for (const double value : scorer.values()) content += fmt::format(" {}", value);
    if (scorer.base()) content += fmt::format(" over ({})", content_of(*scorer.base()));
    return content;
}

/// Which array of evl_layer.reconstruction the column reads, as a bit; 0 for none.
std::uint32_t second_pass_bit(ColumnId id) {
    if (columns::needs(id) != ColumnNeeds::reconstruction) return 0;
    while (const auto base = columns::base(id)) id = *base;
    const std::string& name = columns::name(id);
    return name.ends_with(":plus") ? 2 : name.ends_with(":grad") ? 4 : 1;
}

} // namespace

evl_scorer::evl_scorer(Scorer opened, bool published_, std::shared_ptr<const Calibration> read)
    : scorer(std::move(opened)), columns(scorer.columns()), published(published_) {
    for (const ColumnId id : columns.ids()) {
        queries = std::max(queries, evictlab::columns::latest_queries(id));
        wov_norm |= evictlab::columns::needs(id) == ColumnNeeds::wov_norm;
        wo_gram |= evictlab::columns::needs(id) == ColumnNeeds::wo_gram;
        reconstruction |= second_pass_bit(id);
        for (auto at = std::optional(id); at; at = evictlab::columns::base(*at))
            token_type |= evictlab::columns::name(*at) == "token_type";
    }
    if (scorer.wants_tensors()) queries = all_history;
    ScorerRun run(scorer);
    if (run.concurrent()) shared.emplace(std::move(run));
    std::string content = content_of(scorer);
    if (scorer.reads_calibration()) {
        calibration = std::move(read);
        content += " calibration " + calibration->sha256;
    }
    hash = sha256_hex(content);
    class_json = to_json(class_of(scorer)).dump();
}

extern "C" {

evl_status evl_scorer_open(evl_lab* lab, const char* text, evl_scorer** scorer, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(lab, "lab");
        capi::require(text, "text");
        capi::require(scorer, "scorer");
        const std::lock_guard lock(lab->mutex);
        Scorer opened = make_scorer(text, lab->host);
        const bool published = opened.plugin() && is_published(opened.label(), ScorerRules::published, lab->host);
        if (const std::string lack = lacks_calibration(opened, lab->calibration.get()); !lack.empty())
            throw UsageError(fmt::format("scorer '{}': {}; evictlab-calibrate makes one, which evl_lab_calibration, or "
                                         "the option calibration, reads",
                                         opened.label(), lack));
        std::optional<std::string> twin = formula_twin(text, lab->host);
        if (opened.is_formula()) twin = formula::print(opened.formula());
        *scorer = new evl_scorer(std::move(opened), published, lab->calibration);
        (*scorer)->formula = twin.value_or("");
    });
}

evl_status evl_lab_full_name(evl_lab* lab, const char* text, void (*take)(void* context, const char* name),
                             void* context, evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(lab, "lab");
        capi::require(text, "text");
        capi::require(take, "take");
        const std::string name = [&] {
            const std::lock_guard lock(lab->mutex);
            return full_name(text, ScorerRules::published, lab->host);
        }();
        take(context, name.c_str());
    });
}

void evl_scorer_close(evl_scorer* scorer) { delete scorer; }

void evl_scorer_needs(const evl_scorer* scorer, evl_needs* needs) {
    if (!scorer || !needs) return;
    evl_needs all{};
    all.struct_size = needs->struct_size;
    all.queries = scorer->queries == all_history ? EVL_ALL_QUERIES : scorer->queries;
    all.token_type = scorer->token_type ? 1 : 0;
    all.wov_norm = scorer->wov_norm ? 1 : scorer->scorer.wants_tensors() ? 2 : 0;
    all.budgeted = scorer->scorer.budgeted() ? 1 : 0;
    all.uneven = scorer->scorer.allocates() ? 1 : 0;
    all.calibration = scorer->calibration ? 1 : 0;
    all.wo_gram = scorer->wo_gram ? 1 : 0;
    all.reconstruction = scorer->reconstruction;
    all.model_budgets = scorer->scorer.needs_model() ? 1 : 0;
    std::memcpy(needs, &all, std::min<std::size_t>(needs->struct_size, sizeof all));
}

uint64_t evl_scorer_column_count(const evl_scorer* scorer) { return scorer ? scorer->columns.size() : 0; }

const char* evl_scorer_column(const evl_scorer* scorer, uint64_t index) {
    return index < evl_scorer_column_count(scorer) ? columns::name(scorer->columns.ids()[index]).c_str() : nullptr;
}

const char* evl_scorer_hash(const evl_scorer* scorer) { return scorer ? scorer->hash.c_str() : nullptr; }

const char* evl_scorer_name(const evl_scorer* scorer) { return scorer ? scorer->scorer.label().c_str() : nullptr; }

const char* evl_scorer_plugin(const evl_scorer* scorer) {
    return scorer && scorer->scorer.plugin() ? scorer->scorer.plugin()->id().c_str() : nullptr;
}

const char* evl_scorer_class(const evl_scorer* scorer) { return scorer ? scorer->class_json.c_str() : nullptr; }

const char* evl_scorer_formula(const evl_scorer* scorer) {
    return scorer && !scorer->formula.empty() ? scorer->formula.c_str() : nullptr;
}

uint32_t evl_scorer_published(const evl_scorer* scorer) { return scorer && scorer->published ? 1 : 0; }

evl_status evl_scorer_files(const char* list, void (*add)(void* context, const char* file), void* context,
                            evl_failure* failure) {
    return capi::guarded(failure, [&] {
        capi::require(list, "list");
        capi::require(add, "add");
        for (const std::string& file : files_in_scorer_list(list)) add(context, file.c_str());
    });
}

} // extern "C"
