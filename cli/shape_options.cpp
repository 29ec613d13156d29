// SPDX-License-Identifier: MIT
#include "cli/shape_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/shared_options.hpp"

namespace evictlab::cli {

void add_shape_options(po::options_description& options) {
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    options.add_options()("granularity", text("G"),
                          "who shares a set of kept tokens: head (none, the default), layer (the heads of a layer) or "
                          "model (all layers and heads)")(
        "join", text("J"),
        fmt::format("how the scores of those become one: mean, max, rank or share ({})", to_string(usual_join))
            .c_str())("block", text("N"), "tokens go in blocks of N, aligned at multiples of N (1)")(
        "block-score", text("S"), "a block's score from its tokens': mean (default) or max")(
        "sinks", text("N"), "the first N tokens stay (0)")("recent", text("N"), "the last N tokens stay (0)");
}

bool names_shape(const po::variables_map& values) {
    constexpr std::array names{"granularity", "join", "block", "block-score", "sinks", "recent"};
    return std::ranges::any_of(names, [&](const char* name) { return values.contains(name); });
}

Shape shape_from(const po::variables_map& values) {
    Shape shape;
    const auto typed = [&values](const char* option) { return values[option].as<std::string>(); };
    if (values.contains("granularity")) shape.granularity = granularity_named(typed("granularity"));
    if (values.contains("join")) shape.join = join_named(typed("join"));
    if (values.contains("block-score")) shape.block_score = block_score_named(typed("block-score"));
    read_number<std::size_t>(values, "block", "a whole number above 0", shape.block);
    read_number<std::size_t>(values, "sinks", "a whole number", shape.sinks);
    read_number<std::size_t>(values, "recent", "a whole number", shape.recent);
    if (values.contains("join") && shape.granularity == Granularity::head)
        throw UsageError("--join is for --granularity layer and model: with head no scores are joined");
    if (values.contains("block-score") && shape.block == 1)
        throw UsageError("--block-score is for blocks of several tokens: give --block N");
    check_shape(shape);
    return shape;
}

void add_keep_option(po::options_description& options) {
    options.add_options()("keep", po::value<std::vector<std::string>>()->composing()->multitoken()->value_name("K"),
                          "captured, in place of --retention: tokens that each set keeps, as 256,512 or repeated");
}

std::vector<std::size_t> keep_from(const po::variables_map& values) {
    std::vector<std::size_t> kept;
    if (!values.contains("keep")) return kept;
    if (values.contains("retention"))
        throw UsageError("give --retention or --keep, not both: shares of a prompt's tokens, or numbers of them");
    for (const std::string& list : values["keep"].as<std::vector<std::string>>())
        for (std::size_t begin = 0; begin <= list.size();) {
            const std::size_t end = std::min(list.find(',', begin), list.size());
            const auto number =
                text::number<std::size_t>("keep", list.substr(begin, end - begin), "a whole number above 0");
            if (number == 0) throw UsageError("--keep is 0, but must be a whole number above 0");
            if (std::ranges::find(kept, number) != kept.end())
                throw UsageError(fmt::format("--keep {} is given twice", number));
            kept.push_back(number);
            begin = end + 1;
        }
    return kept;
}

} // namespace evictlab::cli
