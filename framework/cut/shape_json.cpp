// SPDX-License-Identifier: MIT
#include "framework/cut/shape_json.hpp"

#include "base/option_error.hpp"

namespace evictlab {
namespace {

std::size_t size_in(const JsonField& field, const char* name, std::size_t otherwise) {
    const auto member = field.optional_member(name);
    return member ? member->whole<std::size_t>() : otherwise;
}

/// Runs a step that may refuse what stands in the field.
template <class Step>
auto of_field(const JsonField& field, Step step) {
    try {
        return step();
    } catch (const OptionError& error) {
        field.fail(error.what());
    }
}

} // namespace

Json to_json(const Shape& shape) {
    Json json{{"granularity", to_string(shape.granularity)},
              {"join", to_string(shape.join)},
              {"block", shape.block},
              {"sinks", shape.sinks},
              {"recent", shape.recent}};
    if (shape.block_score != BlockScore::mean) json["block_score"] = to_string(shape.block_score);
    return json;
}

Shape shape_from_json(const JsonField& field) {
    return of_field(field, [&] {
        Shape shape;
        if (const auto granularity = field.optional_member("granularity"))
            shape.granularity = granularity_named(granularity->text());
        if (const auto join = field.optional_member("join")) shape.join = join_named(join->text());
        if (const auto score = field.optional_member("block_score"))
            shape.block_score = block_score_named(score->text());
        shape.block = size_in(field, "block", 1);
        shape.sinks = size_in(field, "sinks", 0);
        shape.recent = size_in(field, "recent", 0);
        check_shape(shape);
        return shape;
    });
}

} // namespace evictlab
