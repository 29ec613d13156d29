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

Scorer::Scorer(const Lab& lab, const std::string& text) : text_(text) {
    evl_scorer* scorer = nullptr;
    evl_failure failure{};
    check(evl_scorer_open(lab.get(), text.c_str(), &scorer, &failure), failure);
    owned_.reset(scorer);
    scorer_ = scorer;
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

std::string Scorer::refusal_when_evicted() const {
    // These turn keys or queries to other positions.
    constexpr std::array<std::string_view, 4> turning{"expected_attn", "key_leverage", "replayed_attn", "capacity"};
    for (std::uint64_t i = 0; i < evl_scorer_column_count(scorer_); ++i) {
        const std::string_view column = evl_scorer_column(scorer_, i);
        for (const std::string_view name : turning)
            if (column.find(name) != std::string_view::npos)
                return "its column " + std::string(column) +
                       " needs the tokens' positions, which are not their places once others are gone";
    }
    if (needs_.wov_norm == 2)
        return "it reads keys and values by itself, and may need positions, which are not places once tokens are gone";
    return "";
}

std::vector<std::uint8_t> Scorer::keep(const evl_layer& layer, std::span<const double> removed) const {
    std::vector<std::uint8_t> kept(removed.size() * layer.kv_heads * layer.tokens);
    evl_failure failure{};
    check(evl_scorer_keep(scorer_, &layer, removed.data(), removed.size(), kept.data(), nullptr, nullptr, &failure),
          failure);
    return kept;
}

std::vector<double> Scorer::scores(const evl_layer& layer, double removed) const {
    std::vector<double> scores(std::size_t{layer.kv_heads} * layer.tokens);
    evl_failure failure{};
    check(evl_scorer_score(scorer_, &layer, removed, scores.data(), nullptr, &failure), failure);
    return scores;
}

} // namespace evictlab::engine
