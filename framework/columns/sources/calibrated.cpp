// SPDX-License-Identifier: MIT
#include "framework/columns/calibrated.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/columns/states.hpp"

namespace evictlab::columns {
namespace {

/// `NAME` of constants, `NAME:row=R` of a table, whose rows count from 1.
struct Calibrated {
    std::string name;
    std::size_t row = 1;

    void operator()(const RowContext& context, double* out) const {
        const HeadTensors& t = *context.tensors;
        const LayerCalibration& layer = calibration_of(t);
        const CalibrationTable* const table = layer.whole->table(name);
        if (!table || row > table->rows) throw Error(fmt::format("the calibration has no '{}'", name));
        const std::size_t place = ((row - 1) * layer.whole->layers.size() + layer.place) * layer.whole->kv_heads;
        std::fill(out, out + context.tokens, static_cast<double>(table->values[place + t.kv_head]));
    }
};

Calibrated read(std::string_view text) {
    Calibrated made;
    made.name = text.substr(0, text.find(':'));
    const bool fits =
        !made.name.empty() && made.name[0] >= 'a' && made.name[0] <= 'z' && std::ranges::all_of(made.name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        });
    if (!fits)
        throw UsageError(fmt::format("column 'calibrated' wants the name of constants, as in calibrated:duo_attention, "
                                     "but got '{}'",
                                     made.name));
    text.remove_prefix(std::min(text.size(), made.name.size() + 1));
    Arguments arguments("calibrated", text);
    made.row = arguments.keyed("row", 1, 1, 65536);
    arguments.end("calibrated:NAME or calibrated:NAME:row=5");
    return made;
}

std::string absent(std::string_view arguments, const Calibration& calibration) {
    const Calibrated asked = read(arguments);
    const CalibrationTable* const table = calibration.table(asked.name);
    if (table && asked.row <= table->rows) return "";
    if (table) return fmt::format("'{}' has {} rows in {}", asked.name, table->rows, calibration.file);
    std::vector<std::string> names;
    for (const auto& [name, unused] : calibration.tables) names.push_back(name);
    return fmt::format("{} has no constants '{}'; it has {}; `evictlab-calibrate SUITE --constants {}=FILE` adds them",
                       calibration.file, asked.name, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
                       asked.name);
}

} // namespace

ColumnInfo describe_calibrated() {
    ColumnInfo info{"calibrated",
                    "number of the token's layer and KV head, learned once for the model or written by hand into its "
                    "calibration: calibrated:NAME, calibrated:NAME:row=R of a table (calibrated:duo_attention)",
                    ColumnKind::token,
                    [](std::string_view arguments, std::size_t tokens) -> std::unique_ptr<ColumnState> {
                        return std::make_unique<TensorRule<Calibrated>>(tokens, read(arguments));
                    },
                    ColumnNeeds::calibration,
                    last_query,
                    ColumnQueries::none};
    info.absent = absent;
    return info;
}

} // namespace evictlab::columns
