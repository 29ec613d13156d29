// SPDX-License-Identifier: MIT
#include "engine/scorer.hpp"

#include <array>
#include <string_view>

#include "base/error.hpp"

namespace evictlab::engine {
namespace {

void check(evl_status status, const evl_failure& failure) {
    if (status == EVL_USAGE) throw UsageError(failure.text);
    if (status != EVL_OK) throw Error(failure.text);
}

evl_shape given_shape(const Shape& shape) {
    return {sizeof(evl_shape),
            static_cast<std::uint32_t>(shape.granularity), // libevictlab counts them in the same order
            static_cast<std::uint32_t>(shape.join),
            static_cast<std::uint32_t>(shape.block),
            static_cast<std::uint32_t>(shape.block_score),
            shape.sinks,
            shape.recent};
}

} // namespace

Lab::Lab(std::span<const std::filesystem::path> plugin_folders) {
    std::vector<const char*> folders;
    for (const std::filesystem::path& folder : plugin_folders) folders.push_back(folder.c_str());
    evl_lab* lab = nullptr;
    evl_failure failure{};
    check(evl_lab_open(folders.data(), folders.size(), &lab, &failure), failure);
    lab_.reset(lab);
}

std::vector<std::string> Lab::split(const std::string& list) const {
    std::vector<std::string> texts;
    evl_failure failure{};
    const auto add = [](void* to, const char* text) { static_cast<std::vector<std::string>*>(to)->emplace_back(text); };
    check(evl_lab_split(get(), list.c_str(), add, &texts, &failure), failure);
    return texts;
}

std::vector<std::string> Lab::problems() const {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < evl_lab_problem_count(get()); ++i) all.emplace_back(evl_lab_problem(get(), i));
    return all;
}

void Lab::calibrate(const std::filesystem::path& file) const {
    evl_failure failure{};
    check(evl_lab_calibration(get(), file.c_str(), &failure), failure);
}

Memory::Memory() {
    evl_memory* memory = nullptr;
    evl_failure failure{};
    check(evl_memory_open(&memory, &failure), failure);
    memory_.reset(memory);
}

Scorer::Scorer(const Lab& lab, const std::string& text) {
    evl_scorer* scorer = nullptr;
    evl_failure failure{};
    const auto take = [](void* to, const char* name) { *static_cast<std::string*>(to) = name; };
    check(evl_lab_full_name(lab.get(), text.c_str(), take, &text_, &failure), failure);
    check(evl_scorer_open(lab.get(), text_.c_str(), &scorer, &failure), failure);
    owned_.reset(scorer);
    scorer_ = scorer;
    text_ = evl_scorer_name(scorer);
    ask_needs();
}

Scorer::Scorer(const evl_scorer* scorer) : scorer_(scorer) {
    const char* plugin = evl_scorer_plugin(scorer);
    text_ = plugin != nullptr ? plugin : "the formula";
    ask_needs();
}

void Scorer::ask_needs() {
    needs_.struct_size = sizeof needs_;
    evl_scorer_needs(scorer_, &needs_);
}

Scorer::Gaps Scorer::gaps(bool alike, std::string* why) const {
    evl_failure failure{};
    if (evl_scorer_fits_gaps(scorer_, alike ? 1 : 0, &failure) == EVL_OK) return Gaps::positions;
    // Where cached tokens stand in the text matters to these, and to the last one that heads have the same.
    constexpr std::array<std::string_view, 5> by_position{"expected_attn", "key_leverage", "replayed_attn", "capacity",
                                                          "head_share"};
    const std::size_t count = by_position.size() - (alike ? 1 : 0);
    bool refused = needs_.wov_norm == 2; // it reads queries and keys by itself
    for (std::uint64_t i = 0; i < evl_scorer_column_count(scorer_); ++i) {
        const std::string_view column = evl_scorer_column(scorer_, i);
        for (std::size_t c = 0; c < count; ++c) refused |= column.find(by_position[c]) != std::string_view::npos;
    }
    if (!refused) return Gaps::places;
    if (why != nullptr) *why = failure.text;
    return Gaps::refused;
}

void Scorer::check_shape(const Shape& shape) const {
    const evl_shape given = given_shape(shape);
    evl_failure failure{};
    check(evl_scorer_fits(scorer_, &given, &failure), failure);
}

Selection::Selection(const Scorer& scorer, const Shape& shape, std::span<const double> removed)
    : budgets_(removed.size()) {
    const evl_shape given = given_shape(shape);
    evl_selection asked{};
    asked.struct_size = sizeof asked;
    asked.shape = &given;
    asked.budgets = removed.size();
    asked.removed = removed.data();
    evl_model* model = nullptr;
    evl_failure failure{};
    check(evl_model_open_shape(scorer.get(), &asked, &model, &failure), failure);
    model_.reset(model);
}

void Selection::add(const evl_layer& layer) {
    evl_failure failure{};
    check(evl_model_add(model_.get(), &layer, &failure), failure);
}

std::vector<KeptSets> Selection::kept(std::size_t layer, std::size_t heads, std::size_t n) const {
    std::vector<std::uint32_t> places(budgets_ * heads * n);
    std::vector<std::uint64_t> counts(budgets_ * heads);
    evl_selection into{};
    into.struct_size = sizeof into;
    into.places = places.data();
    into.counts = counts.data();
    evl_failure failure{};
    check(evl_model_select(model_.get(), static_cast<std::uint32_t>(layer), &into, &failure), failure);
    std::vector<KeptSets> kept(budgets_);
    for (std::size_t row = 0; row < counts.size(); ++row) {
        const auto* first = places.data() + row * n;
        kept[row / heads].emplace_back(first, first + counts[row]);
    }
    return kept;
}

} // namespace evictlab::engine
