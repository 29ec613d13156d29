// SPDX-License-Identifier: MIT
#include "evolution/start.hpp"

#include <boost/algorithm/string/replace.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "base/option_error.hpp"
#include "framework/scorers/published.hpp"
#include "framework/scorers/scorer.hpp"

namespace evictlab::evolution {

formula::Formula start_formula(const std::string& start, PluginHost& host,
                               std::map<std::string, std::string>& plugins) {
    if (const auto twin = formula_twin(start, host)) {
        const std::string id = parse_scorer_name(start).id;
        if (const auto plugin = host.find(id)) plugins[id] = plugin->file_sha256();
        return formula::parse(*twin);
    }
    if (host.find(parse_scorer_name(start).id))
        throw OptionError("start",
                          fmt::format("'{}' is a plugin's own code, for which it gives no formula to begin "
                                      "from; there are formulas of {}. A search can tune its parameters instead",
                                      start, fmt::join(scorers_with_twins(host), ", ")));
    if (start.ends_with(".formula")) return make_scorer(start, host).formula();
    try {
        return formula::parse(start.starts_with('=') ? start.substr(1) : start);
    } catch (const formula::ParseError& wrong) {
        throw OptionError("start", fmt::format("'{}' is neither a scorer with a formula ({}) nor a formula: {}", start,
                                               fmt::join(scorers_with_twins(host), ", "), wrong.what()));
    }
}

std::string usual_start(const SearchSuites& captured, const PluginHost& host) {
    const std::string champion = "evolved@real";
    const auto twin = formula_twin(champion, host);
    if (!twin)
        throw OptionError("start", fmt::format("is missing: no plugin has the formula of {}, where a search on real "
                                               "attention begins; give another one, or see `evictlab plugins`",
                                               champion));
    std::string start = *twin;
    if (std::ranges::count(captured.columns(), "rank:wov_norm") == 0)
        boost::replace_all(start, "rank:wov_norm", "rank:value_norm");
    return start;
}

} // namespace evictlab::evolution
