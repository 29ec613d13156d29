// A saved run as everybody reads it: parsed, and checked to be one that a run can have saved. A checksum says that a
// file is whole, not that its content makes sense; the first field that does not is named, with its place in the file.
// SPDX-License-Identifier: MIT
#pragma once
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "evolution/run_state.hpp"
#include "evolution/setup.hpp"

namespace evictlab::evolution {

struct SavedRun {
    RunSetup setup;
    RunState state;
    std::vector<double> retentions; ///< one suite's after another's
};

/// Throws Error that names file and field.
SavedRun saved_run(const JsonField& content);

/// What else must be right for a run to go on: every formula reads what the fitness gives, every parameter set lies in
/// the space, hashes are those of their texts, and errors are of the fitness's retentions. Throws Error that names the
/// field.
void check_can_go_on(const JsonField& content, const RunSetup& setup, const RunState& state, const Fitness& fitness);

/// The candidates that a state names, looked for in its journal, whose lines are given one after another.
class NamedCandidates {
public:
    explicit NamedCandidates(const RunState& state);
    void found(const std::string& id, std::uint64_t hash, std::uint32_t generation);
    /// Throws Error that names the first field with a candidate that the journal lacks or has otherwise.
    void check(const JsonField& content, const RunState& state) const;

private:
    std::unordered_map<std::string, std::optional<std::uint64_t>> hashes_; ///< by id; nothing until it is found
    std::uint64_t lines_ = 0;
    std::uint32_t last_generation_ = 0;
};

} // namespace evictlab::evolution
