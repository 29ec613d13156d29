// SPDX-License-Identifier: MIT
#include "cli/search_progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/destinations.hpp"

namespace evictlab::cli {
namespace {

constexpr auto tick_after = std::chrono::seconds(1);
constexpr double most_between = 0.99; // what is left is for the generation that ends the run

} // namespace

SearchProgress::SearchProgress(const std::string& suite, report::Standing standing, bool quiet)
    : bar_("evolve " + suite), standing_(std::move(standing)), quiet_(quiet), glyphs_(report::glyphs_of_environment()),
      ticker_([this](const std::stop_token& ended) { tick(ended); }) {}

void SearchProgress::show(const evolution::RunProgress& p) {
    if (p.new_champion && !quiet_)
        bar_.say(fmt::format("generation {}: champion, {}train {:.6f}, valid {:.6f}{}{}: {}", p.generation,
                             standing_.relative ? "ratio on " : "", p.champion_train, p.champion_valid,
                             p.champion_kl ? fmt::format(", KL {:.5f}", *p.champion_kl) : "",
                             p.tunes ? "" : refused_text(p.champion), p.champion));
    if (!p.proposer_failure.empty())
        bar_.say(fmt::format("generation {}: no proposals: {}", p.generation, p.proposer_failure));
    const std::lock_guard lock(mutex_);
    standing_.start = {p.start_train, p.start_valid};
    standing_.champion = {p.champion_train, p.champion_valid};
    shown_ = {Clock::now(), p.seconds, p.fraction, report::progress_note(p),
              report::progress_block(p, standing_, glyphs_)};
    bar_.update(shown_.fraction, shown_.note, shown_.block);
}

void SearchProgress::tick(const std::stop_token& ended) {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, ended, tick_after, [&] { return ended.stop_requested(); })) draw_between();
}

/// At the pace that the run had until the last generation.
void SearchProgress::draw_between() {
    const double since = std::chrono::duration<double>(Clock::now() - shown_.at).count();
    const double pace = shown_.seconds > 0 ? shown_.fraction / shown_.seconds : 0;
    const double fraction = std::max(shown_.fraction, std::min(most_between, shown_.fraction + pace * since));
    bar_.update(fraction, shown_.note, shown_.block);
}

} // namespace evictlab::cli
