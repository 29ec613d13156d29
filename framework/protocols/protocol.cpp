// SPDX-License-Identifier: MIT
#include "framework/protocols/protocol.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/option_error.hpp"
#include "framework/layer/calibration.hpp"
#include "framework/protocols/decode.hpp"
#include "framework/protocols/prefill.hpp"
#include "framework/protocols/rescore.hpp"
#include "framework/scorers/shape_refusal.hpp"

namespace evictlab {
namespace {

const auto& table() {
    static const std::array all{describe_rescore(), describe_prefill(), describe_decode()};
    return all;
}

bool reads_token_type(ColumnId id) {
    for (auto at = std::optional(id); at; at = columns::base(*at))
        if (columns::name(*at) == "token_type") return true;
    return false;
}

/// Why scorers cannot be given a calibration, or "".
std::string missing_calibration(const Suite& suite, const ProtocolInfo& protocol) {
    if (!suite.captured() || !protocol.gives_tensors)
        return "it reads a calibration, which is of captured suites, by prefill or decode";
    if (!suite.calibration())
        return fmt::format("it reads a calibration, and the suite has none; {}", how_to_calibrate);
    if (const std::string gap = suite.uncalibrated(); !gap.empty()) return fmt::format("{}; {}", gap, how_to_calibrate);
    return "";
}

std::string missing_column(ColumnId id, const Suite& suite, const ProtocolInfo& protocol) {
    std::string why;
    switch (columns::needs(id)) {
    case ColumnNeeds::rows:
    case ColumnNeeds::layer_rows:
    case ColumnNeeds::query_rows:
        if (!suite.has_token_types() && reads_token_type(id))
            why = "some trace of it has no tensor token_type; capture the suite with it";
        break;
    case ColumnNeeds::tensors:
        if (!suite.captured())
            why = "it is computed from queries, keys and values, which only captured suites have";
        else if (!protocol.gives_tensors)
            why = fmt::format("it is computed from queries, keys and values, which the protocol {} does not give",
                              protocol.name);
        break;
    case ColumnNeeds::wov_norm:
        if (!suite.captured() || !protocol.gives_tensors || !suite.has_wov_norms())
            why = "it needs the norms of values behind the output projection, or that projection in model.safetensors";
        break;
    case ColumnNeeds::calibration:
        why = missing_calibration(suite, protocol);
        if (why.empty()) why = columns::absent(id, *suite.calibration());
        break;
    case ColumnNeeds::wo_gram:
        if (!suite.captured() || !protocol.gives_tensors || !suite.has_wo_grams())
            why = "it needs the output projections in model.safetensors, of the model of every trace";
        break;
    case ColumnNeeds::reconstruction:
        if (!suite.captured())
            why = "it is what a second pass of a model over the prompt gives, which only captured suites have";
        else if (!protocol.gives_second_pass)
            why = fmt::format("it is what a second pass over a whole prompt gives, and the protocol {} has none",
                              protocol.name);
        else if (!suite.has_reconstructions())
            why = "some trace of it lacks its second pass; `evictlab-capture MODEL --reconstruct --out FOLDER` adds it";
        break;
    }
    if (why.empty()) return "";
    return fmt::format("asks for the column '{}', which suite {} by protocol {} does not give: {}", columns::name(id),
                       suite.name(), protocol.name, why);
}

std::string missing_table(const std::string& name, const Suite& suite, const ProtocolInfo& protocol) {
    std::string why = missing_calibration(suite, protocol);
    if (why.empty() && !suite.calibration()->table(name))
        why = fmt::format("{} has no such table; {}", suite.calibration()->file, how_to_calibrate);
    if (why.empty()) return "";
    return fmt::format("asks for the table '{}' of a calibration, which suite {} by protocol {} does not give: {}",
                       name, suite.name(), protocol.name, why);
}

bool runs(const ProtocolInfo& info, bool captured) { return captured || !info.needs_capture; }

} // namespace

void heed_stop(const ScorerHooks& hooks) {
    if (hooks.stop && hooks.stop->load(std::memory_order_relaxed)) throw Interrupted("stopped");
}

PluginError at_place(const PluginError& error, const std::string& place) {
    return {error.plugin, error.phase, fmt::format("{} ({})", error.cause, place), error.blame};
}

double Protocol::work(const Trace& trace) {
    const auto n = static_cast<double>(trace.seq_len());
    return n * n / 2 * static_cast<double>(trace.heads());
}

std::span<const ProtocolInfo> protocols() { return table(); }

std::span<const std::string_view> protocol_names() {
    static const std::vector<std::string_view> names = [] {
        std::vector<std::string_view> list;
        for (const ProtocolInfo& info : table()) list.push_back(info.name);
        return list;
    }();
    return names;
}

const ProtocolInfo* find_protocol(std::string_view name) {
    const auto at = std::ranges::find(table(), name, &ProtocolInfo::name);
    return at == table().end() ? nullptr : &*at;
}

const ProtocolInfo& protocol_info(std::string_view name) {
    if (const ProtocolInfo* info = find_protocol(name)) return *info;
    throw UsageError(fmt::format("unknown protocol '{}'; there are {}", name, fmt::join(protocol_names(), ", ")));
}

std::string_view usual_protocol(bool captured) {
    return std::ranges::find(table(), captured, &ProtocolInfo::needs_capture)->name;
}

std::string_view usual_protocol(const Suite& suite) { return usual_protocol(suite.captured()); }

std::vector<double> usual_retentions(std::string_view protocol) {
    const auto retentions = protocol_info(protocol).usual_retentions;
    return {retentions.begin(), retentions.end()};
}

void check_protocol(std::string_view protocol, const Suite& suite) {
    if (runs(protocol_info(protocol), suite.captured())) return;
    throw UsageError(fmt::format(
        "suite '{}' cannot be run by protocol {}: it is synthetic, and has no queries, keys and values; use {}, or a "
        "captured suite",
        suite.name(), protocol, usual_protocol(suite)));
}

void check_shape(std::string_view protocol, const Shape& shape, bool numbers) {
    check_shape(shape);
    const ProtocolInfo& info = protocol_info(protocol);
    if (!info.refuses_shape) return;
    if (const std::string why = info.refuses_shape(shape, numbers); !why.empty())
        throw UsageError(fmt::format("the protocol {} {}", protocol, why));
}

std::string refusal(const Scorer& scorer, const Suite& suite, std::string_view protocol, const Shape& shape) {
    const ProtocolInfo& info = protocol_info(protocol);
    for (const ColumnId id : scorer.columns())
        if (std::string missing = missing_column(id, suite, info); !missing.empty()) return missing;
    for (const std::string& name : scorer.tables())
        if (std::string missing = missing_table(name, suite, info); !missing.empty()) return missing;
    if (scorer.unmatched() && suite.search_traces().train.empty())
        return fmt::format("finds its threshold on the train split, of which suite {} has nothing", suite.name());
    const std::string why = info.refuses(scorer);
    return why.empty() ? shape_refusal(scorer, shape) : why;
}

std::string schedule_refusal(const Scorer& scorer, const CutSchedule& schedule) {
    if (scorer.has_threshold() && !schedule.cuts_prompt())
        return fmt::format(
            "has a threshold, which decides over the prompt's tokens at its end, and the schedule {} does "
            "not cut there",
            to_string(schedule));
    if (scorer.unmatched() && schedule.rule == CutSchedule::Rule::slack)
        return fmt::format("finds its threshold at cuts that do not depend on what it keeps, and those of the schedule "
                           "{} do; give it a threshold (t=), or use every:N",
                           to_string(schedule));
    return "";
}

std::unique_ptr<Protocol> make_protocol(std::string_view name, const Suite& suite, std::span<const Scorer> scorers,
                                        std::span<const double> retentions, const ProtocolOptions& options) {
    check_protocol(name, suite);
    check_shape(name, options.shape, !options.keep.empty());
    if (!protocol_info(name).cuts_again && !options.schedule.usual())
        throw OptionError("schedule", "is for the protocol decode");
    if (!protocol_info(name).cuts_again && options.bin > 0) throw OptionError("bin", "is for the protocol decode");
    for (const Scorer& scorer : scorers) {
        std::string why = refusal(scorer, suite, name, options.shape);
        if (why.empty()) why = schedule_refusal(scorer, options.schedule);
        if (!why.empty()) throw UsageError(fmt::format("scorer '{}' {}", scorer.label(), why));
    }
    const auto wanted = [&](Measure measure) { return !options.only || *options.only == measure; };
    const CapturedMeasures measured{suite.has_output_projections() && wanted(Measure::output_error),
                                    suite.has_sensitivities() && wanted(Measure::predicted_kl)};
    return protocol_info(name).make({scorers, retentions, measured, options.schedule, options.bin, options.measure_time,
                                     options.shape, options.keep, options.find_thresholds});
}

} // namespace evictlab
