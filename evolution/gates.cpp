// SPDX-License-Identifier: MIT
#include "evolution/gates.hpp"

#include <fmt/format.h>

namespace evictlab::evolution {

GateResult gate_train(const Candidate& candidate, const Reference& parent, double node_price) {
    const double train = candidate.train.average;
    const std::size_t nodes = candidate.genome.size();
    if (train < parent.train)
        return {true, fmt::format("train {:.6f} is below its parent's {:.6f}", train, parent.train)};
    if (nodes < parent.nodes && train <= parent.train + node_price * static_cast<double>(parent.nodes - nodes))
        return {true,
                fmt::format("train {:.6f} is about its parent's {:.6f} with {} {} instead of {}", train, parent.train,
                            nodes, candidate.genome.parameters() ? "changed parameters" : "nodes", parent.nodes)};
    return {false, fmt::format("train {:.6f} is not below its parent's {:.6f}", train, parent.train)};
}

GateResult gate_nearness(const Candidate& candidate, const Candidate& champion) {
    const double train = candidate.train.average;
    const double most = (1 + offline_slack) * champion.train.average;
    if (train > most)
        return {false, fmt::format("train {:.6f} is neither below its parent's nor near the champion's {:.6f}", train,
                                   champion.train.average)};
    return {true, fmt::format("train {:.6f} is near the champion's {:.6f}, where the model decides", train,
                              champion.train.average)};
}

GateResult gate_promotion(const Candidate& candidate, const Candidate& champion) {
    const double train = candidate.train.average;
    const double best_train = champion.train.average;
    if (!(train < best_train))
        return {false, fmt::format("no champion: train {:.6f} is not below the champion's {:.6f}", train, best_train)};
    const double valid = candidate.valid->average;
    const double best_valid = champion.valid->average;
    if (!(valid < best_valid))
        return {false,
                fmt::format("no champion: valid {:.6f} does not improve on the champion's {:.6f}, overfits train",
                            valid, best_valid)};
    return {true, fmt::format("beats the champion: train {:.6f} below {:.6f}, valid {:.6f} below {:.6f}", train,
                              best_train, valid, best_valid)};
}

} // namespace evictlab::evolution
