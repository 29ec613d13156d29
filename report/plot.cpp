// SPDX-License-Identifier: MIT
#include "report/plot.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/output/write_file.hpp"
#include "base/text/quoting.hpp"
#include "base/text/shown.hpp"
#include "report/bench_json.hpp"
#include "report/cells.hpp"
#include "report/gnuplot.hpp"
#include "report/plot_layout.hpp"
#include "report/ranking.hpp"

namespace evictlab::report {
namespace {

/// Colours that people with any colour vision tell apart: Okabe and Ito 2008, Color Universal Design.
struct Style {
    std::string_view line, text;
    double width;
    int dashes; ///< gnuplot's dash type; 1 is solid
    bool bold = false;
};
constexpr Style best_published{"#0072B2", "#0072B2", 2.6, 1, true};
constexpr Style best_new{"#D55E00", "#D55E00", 2.6, 1, true};
constexpr Style bound{"#000000", "#000000", 1.8, 2, true};
constexpr Style layer_bound{"#000000", "#000000", 1.4, 3};
constexpr Style random_scorer{"#9A9A9A", "#5F5F5F", 1.4, 3};
constexpr Style other{"#B4B4B4", "#5F5F5F", 1.0, 1};
constexpr Style other_class{"#B4B4B4", "#5F5F5F", 1.0, 4};
constexpr Style best_of_other_class{"#009E73", "#009E73", 1.8, 4, true};

struct Line {
    std::string name;
    Style style;
    bool front = false;                            ///< stands out: it has its name even where there are many
    std::vector<std::pair<double, double>> points; ///< (retention, error), by retention
};

/// Pixels. Panels lie under each other, so that a page 800 pixels wide shows texts at their size.
constexpr double left = 66, panel_width = 470, label_width = 244, panel_height = 270, gap = 84, bottom = 92,
                 top_margin = 66, line_height = 15;
constexpr double text_size = 12;
constexpr std::size_t most_labels = 14; ///< of more lines only those that stand out have names

/// What lies between the lowest and the highest of some lines, at each retention.
struct Band {
    std::vector<std::array<double, 3>> edges; ///< retention, lowest and highest error
    std::size_t lines = 0;
};

std::string best_new_name(const LeaderboardTable& table) {
    for (const auto& row : table.uniform().rows)
        if (row.rank && !is_random(row.scorecard) && !row.published) return row.scorecard.scorer;
    return "";
}

Style style_of(const LeaderboardTable& table, const ScorecardRow& row, const std::string& new_name) {
    if (row.kind == RowKind::bound) return has_uneven_budgets(row) ? layer_bound : bound;
    if (const TableClass of = table_class(row); of != TableClass{})
        return row.scorer == table.of(of).best_published ? best_of_other_class : other_class;
    if (row.scorer == table.uniform().best_published) return best_published;
    if (row.scorer == new_name) return best_new;
    return is_random(row) ? random_scorer : other;
}

std::string short_name(const std::string& name) { return text::line(name, 29); }

/// Grey lines first, so that those that matter lie on top.
std::vector<Line> lines_of(const LeaderboardTable& table, std::size_t measure) {
    const std::string new_name = best_new_name(table);
    const auto competes = [&](const RowGroup& group) {
        return &group == &table.uniform() ||
               std::ranges::any_of(group.rows, [](const auto& row) { return row.rank.has_value(); });
    };
    std::vector<Line> lines;
    for (const RowGroup& group : table.groups)
        for (const auto& row : group.rows) {
            if (!competes(group) || overshoots(row.scorecard, allowed_of(table))) continue;
            if (!has_figures(judging_errors(row.scorecard, measure))) continue;
            const Style style = style_of(table, row.scorecard, new_name);
            Line line{short_name(row.scorecard.scorer),
                      style,
                      style.bold || row.scorecard.kind == RowKind::bound || is_random(row.scorecard),
                      {}};
            const auto& errors = judging_errors(row.scorecard, measure).by_retention;
            const auto& used = retention_used(row.scorecard);
            for (std::size_t r = 0; r < errors.size(); ++r)
                line.points.emplace_back(used.empty() ? table.retentions[r] : used[r], errors[r]);
            std::ranges::sort(line.points);
            lines.push_back(std::move(line));
        }
    std::ranges::stable_sort(lines, {}, &Line::front);
    return lines;
}

/// On the straight line between the points on both sides, and of the nearest one outside of them.
double error_at(const std::vector<std::pair<double, double>>& points, double retention) {
    const auto next = std::ranges::lower_bound(points, retention, {}, &std::pair<double, double>::first);
    if (next == points.end()) return points.back().second;
    if (next == points.begin() || next->first == retention) return next->second;
    const auto last = std::prev(next);
    return std::lerp(last->second, next->second, (retention - last->first) / (next->first - last->first));
}

/// Takes the lines that do not stand out away, where there are more than have room for names.
Band take_band(std::vector<Line>& lines, std::span<const double> retentions) {
    Band band;
    if (lines.size() <= most_labels) return band;
    const auto [begin, end] = std::ranges::partition(lines, &Line::front);
    band.lines = static_cast<std::size_t>(end - begin);
    for (const double retention : retentions) {
        std::array<double, 3> edge{retention, HUGE_VAL, -HUGE_VAL};
        for (auto line = begin; line != end; ++line) {
            const double error = error_at(line->points, retention);
            edge[1] = std::min(edge[1], error);
            edge[2] = std::max(edge[2], error);
        }
        band.edges.push_back(edge);
    }
    std::ranges::sort(band.edges);
    lines.erase(begin, end);
    return band;
}

std::string font(double size, bool bold = false) { return fmt::format("'Arial{},{}'", bold ? ":Bold" : "", size); }

struct Size {
    double width, height;
};

/// A name at the right of a panel, and the line that leads there from where a line ends.
std::string label(std::size_t number, const std::string& name, const Style& style, Size size, double x1, double from,
                  double wanted, double place) {
    return fmt::format("set label {} {} at screen {},screen {} left font {} textcolor rgb '{}'\n", number,
                       text::gnuplot_quoted(name), (x1 + 28) / size.width, place / size.height,
                       font(text_size, style.bold), style.text) +
           fmt::format("set arrow {} from first {},screen {} to screen {},screen {} nohead lc rgb '{}' lw 0.6 back\n",
                       number, from, wanted / size.height, (x1 + 25) / size.width, place / size.height, style.line);
}

std::string x_axis(const LeaderboardTable& table) {
    auto [low, high] = std::ranges::minmax(table.retentions);
    for (const auto& line : lines_of(table, 0)) {
        low = std::min(low, line.points.front().first);
        high = std::max(high, line.points.back().first);
    }
    const double margin = std::max(0.02, 0.05 * (high - low));
    std::string tics;
    for (const double retention : table.retentions)
        tics += fmt::format("{}'{}' {}", tics.empty() ? "" : ", ", retention_key(retention), retention);
    return fmt::format("set xrange [{}:{}]\nset xtics ({}) nomirror\n", low - margin, high + margin, tics);
}

/// `shared`: what is drawn once, with the first panel. Nothing is drawn of a measure that no row has figures of.
std::string panel(const LeaderboardTable& table, std::size_t measure, Size size, const std::string& shared) {
    auto lines = lines_of(table, measure);
    if (lines.empty()) return "";
    const double x1 = left + panel_width;
    const double y1 = size.height - top_margin - static_cast<double>(measure) * (panel_height + gap),
                 y0 = y1 - panel_height;
    std::vector<double> values, wanted;
    for (const auto& line : lines)
        for (const auto& point : line.points) values.push_back(point.second);
    const Axis axis(values, y0, y1);
    const Band band = take_band(lines, table.retentions);
    for (const auto& line : lines) wanted.push_back(axis.place(std::max(line.points.back().second, axis.low())));
    if (band.lines > 0)
        wanted.push_back((axis.place(band.edges.back()[1]) + axis.place(std::max(band.edges.back()[2], axis.low()))) /
                         2);
    const auto places = spread_labels(wanted, line_height, y0 - 12, y1 + 12);

    std::string text = fmt::format("unset label\nunset arrow\nset lmargin at screen {}\nset rmargin at screen {}\n"
                                   "set bmargin at screen {}\nset tmargin at screen {}\n",
                                   left / size.width, x1 / size.width, y0 / size.height, y1 / size.height);
    const auto round_values = axis.round_values();
    text += axis.logarithmic() ? "set logscale y\n" : "unset logscale y\n";
    text += axis.logarithmic() && !round_values.empty() ? fmt::format("set ytics ({})\n", fmt::join(round_values, ", "))
                                                        : "set ytics autofreq\n";
    text += fmt::format(
        "set yrange [{}:{}]\nset title {} font {} offset 0,-0.4\n", axis.low(), axis.high(),
        text::gnuplot_quoted(measure_title(measure == 0 ? table.measure : table.more_measures[measure - 1])),
        font(13, true));
    std::vector<std::string> plots;
    if (band.lines > 0) {
        text += "$band << END\n";
        for (const auto& [retention, low, high] : band.edges)
            text += fmt::format("{} {} {}\n", retention, std::max(low, axis.low()), std::max(high, axis.low()));
        text += "END\n" + label(lines.size() + 1, fmt::format("{} others, from best to worst", band.lines), other, size,
                                x1, band.edges.back()[0], wanted.back(), places.back());
        plots.emplace_back("$band using 1:2:3 with filledcurves lc rgb '#DCDCDC' fs solid 1.0 noborder");
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const Line& line = lines[i];
        text += fmt::format("$line{} << END\n", i);
        for (const auto& [retention, error] : line.points) text += fmt::format("{} {}\n", retention, error);
        text += "END\n" + label(i + 1, line.name, line.style, size, x1, line.points.back().first, wanted[i], places[i]);
        plots.push_back(fmt::format("$line{} with linespoints lc rgb '{}' lw {} dt {} pt 7 ps {}", i, line.style.line,
                                    line.style.width, line.style.dashes, line.front ? 0.45 : 0.22));
    }
    return text + shared + fmt::format("plot {}\n", fmt::join(plots, ", "));
}

/// What the colours mean, in those colours, along the bottom.
std::string colour_key(const LeaderboardTable& table, Size size) {
    std::vector<std::pair<Style, std::string>> entries;
    if (!table.uniform().best_published.empty()) entries.emplace_back(best_published, "best published");
    if (!best_new_name(table).empty()) entries.emplace_back(best_new, "best new scorer");
    entries.emplace_back(bound, "oracle");
    entries.emplace_back(random_scorer, "random");
    if (std::ranges::any_of(table.groups, [&](const RowGroup& group) {
            return &group != &table.uniform() && !group.best_published.empty();
        }))
        entries.emplace_back(best_of_other_class, "best published of its class");
    std::string text;
    double x = left;
    int number = 900;
    for (const auto& [style, words] : entries) {
        text +=
            fmt::format("set arrow {} from screen {},screen {} to screen {},screen {} nohead lc rgb '{}' lw {} dt {}\n",
                        number, x / size.width, 20 / size.height, (x + 26) / size.width, 20 / size.height, style.line,
                        style.width, style.dashes);
        text += fmt::format("set label {} {} at screen {},screen {} left font {} textcolor rgb '{}'\n", number++,
                            text::gnuplot_quoted(words), (x + 32) / size.width, 20 / size.height, font(text_size),
                            style.text);
        x += 32 + 6.4 * static_cast<double>(words.size()) + 16;
    }
    return text;
}

std::string plot_name(const LeaderboardTable& table, std::set<std::string>& taken) {
    std::string stem;
    for (const char c : fmt::format("{}-{}", table.suite, table.protocol))
        stem += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ? c : '_';
    stem.resize(std::min<std::size_t>(stem.size(), 100)); // a file's name has an end
    std::string name = stem + ".svg";
    for (int number = 2; !taken.insert(name).second; ++number) name = fmt::format("{}-{}.svg", stem, number);
    return name;
}

} // namespace

std::string plot_script(const LeaderboardTable& table) {
    const double panels = 1 + static_cast<double>(table.more_measures.size());
    const Size size{left + panel_width + label_width, bottom + top_margin + panels * panel_height + (panels - 1) * gap};
    std::string text = fmt::format(
        "set terminal svg size {},{} dynamic background rgb 'white' font 'Arial,12' noenhanced\nset encoding utf8\nset "
        "multiplot\n"
        "unset key\nset border 3 lc rgb '#808080' lw 1\nset tics textcolor rgb '#404040'\nset ytics nomirror format "
        "'%g'\n"
        "set grid xtics ytics lc rgb '#E8E8E8' lw 1 lt 1\nset xlabel 'share of tokens kept' offset 0,0.3\n{}",
        size.width, size.height, x_axis(table));
    for (std::size_t m = 0; m <= table.more_measures.size(); ++m) {
        std::string shared;
        if (m == 0)
            shared = fmt::format("set label 899 {} at screen {},screen {} left font {}\n",
                                 text::gnuplot_quoted(fmt::format("{}, protocol {}: error on {}, lower is better",
                                                                  short_name(table.suite), table.protocol,
                                                                  judging_split_text(table.traces))),
                                 left / size.width, (size.height - 20) / size.height, font(13, true)) +
                     colour_key(table, size);
        text += panel(table, m, size, shared);
    }
    return text + "unset multiplot\n";
}

std::vector<std::filesystem::path> write_plots(std::span<const LeaderboardTable> tables,
                                               const std::filesystem::path& folder,
                                               const std::function<void(const std::filesystem::path&)>& check) {
    std::vector<std::filesystem::path> files;
    std::set<std::string> taken, checked;
    for (const auto& table : tables)
        if (check) check(folder / plot_name(table, checked));
    for (const auto& table : tables) {
        if (lines_of(table, 0).empty()) { // no row has figures
            files.emplace_back();
            continue;
        }
        const auto svg = run_gnuplot(plot_script(table));
        if (!svg) return {};
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        files.push_back(folder / plot_name(table, taken));
        write_file(files.back(), *svg);
    }
    return files;
}

} // namespace evictlab::report
