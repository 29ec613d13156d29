// SPDX-License-Identifier: MIT
#include "report/shape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/cut/shape_json.hpp"
#include "report/bench_json.hpp"

namespace evictlab::report {
namespace {

std::size_t size_in(const JsonField& field, const char* name, std::size_t otherwise) {
    const auto member = field.optional_member(name);
    return member ? member->whole<std::size_t>() : otherwise;
}

} // namespace

Shape read_shape(const JsonField& field) {
    for (const auto& item : field.object().items())
        if (const std::string& key = item.key(); key != "granularity" && key != "join" && key != "block" &&
                                                 key != "block_score" && key != "sinks" && key != "recent" &&
                                                 key != "joined_layers" && key != "of_layers")
            field.fail(fmt::format("unexpected field \"{}\"", key));
    return shape_from_json(field);
}

void write_cut(const BenchCut& cut, Json& json) {
    if (!cut.shape.usual()) json["shape"] = to_json(cut.shape);
    if (cut.joined_layers > 0) {
        json["shape"]["joined_layers"] = cut.joined_layers;
        json["shape"]["of_layers"] = cut.of_layers;
    }
    if (!cut.keep.empty()) json["keep"] = cut.keep;
}

BenchCut read_cut(const JsonField& top, std::size_t retentions) {
    BenchCut cut;
    if (const auto shape = top.optional_member("shape")) {
        cut.shape = read_shape(*shape);
        cut.joined_layers = size_in(*shape, "joined_layers", 0);
        cut.of_layers = size_in(*shape, "of_layers", 0);
    }
    if (const auto keep = top.optional_member("keep")) {
        for (const auto& number : keep->elements()) cut.keep.push_back(number.whole<std::size_t>());
        if (cut.keep.size() != retentions) keep->fail(fmt::format("expected {} numbers, one a retention", retentions));
    }
    return cut;
}

std::string cut_text(const BenchCut& cut, std::span<const double> retentions) {
    std::string text;
    if (!cut.shape.usual()) text = fmt::format("Shape: {}", in_words(cut.shape));
    if (cut.joined_layers > 0)
        text += fmt::format(" ({} of the model's {} layers, which the traces hold)", cut.joined_layers, cut.of_layers);
    if (!text.empty()) text += ".";
    for (std::size_t r = 0; r < cut.keep.size(); ++r)
        text += fmt::format("{}{} ({} of a prompt, on the mean)",
                            r > 0          ? ", "
                            : text.empty() ? "Kept tokens: "
                                           : " Kept tokens: ",
                            cut.keep[r], retention_key(retentions[r]));
    if (!cut.keep.empty()) text += ".";
    if (!cut.schedule.usual())
        text += fmt::format("{}Schedule of cuts: {}.", text.empty() ? "" : " ", to_string(cut.schedule));
    return text;
}

std::string cut_options(const BenchCut& cut) {
    const Shape& shape = cut.shape;
    std::string text;
    if (shape.granularity != Granularity::head)
        text += fmt::format(" --granularity {} --join {}", to_string(shape.granularity), to_string(shape.join));
    if (shape.block != 1) text += fmt::format(" --block {}", shape.block);
    if (shape.block_score != BlockScore::mean) text += fmt::format(" --block-score {}", to_string(shape.block_score));
    if (shape.sinks > 0) text += fmt::format(" --sinks {}", shape.sinks);
    if (shape.recent > 0) text += fmt::format(" --recent {}", shape.recent);
    if (!cut.keep.empty()) text += fmt::format(" --keep {}", fmt::join(cut.keep, ","));
    if (!cut.schedule.usual()) text += fmt::format(" --schedule {}", to_string(cut.schedule));
    return text;
}

} // namespace evictlab::report
