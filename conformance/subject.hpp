// The plugin that a test looks at, in the process that runs the test.
// SPDX-License-Identifier: MIT
#pragma once
#include <evictlab/scorer.h>

#include <memory>
#include <string>
#include <vector>

#include "conformance/made_batch.hpp"
#include "conformance/test.hpp"
#include "framework/plugin/plugin.hpp"
#include "framework/plugin/sealed_library.hpp"

namespace evictlab::conformance {

/// A rule of the plugin with values of its parameters.
struct Setting {
    std::shared_ptr<const Plugin> rule;
    std::string name; ///< `h2o`, `h2o@seed`
    std::vector<double> values;
};

struct Subject {
    std::shared_ptr<const SealedLibrary> library;
    Process* process = nullptr;

    /// The exported object, as it is. Throws Error where the library cannot be loaded or has none.
    const evl_plugin& exported() const;
    /// Checked by the host's own rules. Throws PluginError.
    const std::vector<std::shared_ptr<const Plugin>>& rules() const;
    /// The defaults of each rule and its presets.
    std::vector<Setting> settings() const;

    std::unique_ptr<ScorerInstance> create(const Setting& setting) const;
    /// The batch's scores. Throws PluginError for a failure, scores that were left unwritten, NaN, and a write before
    /// them.
    std::vector<double> score(const ScorerInstance& instance, const evl_batch& batch) const;
    /// create(), then score().
    std::vector<double> scores_of(const Setting& setting, const MadeBatch& batch) const;

    mutable std::vector<std::shared_ptr<const Plugin>> loaded; ///< once rules() was called
};

/// Whether the plugin itself said no, by a status with a text.
bool refused_in_words(const PluginError& error);
/// "head 1, position 5" of the index-th score.
std::string place(const evl_batch& batch, std::size_t index);
/// The first score whose bits differ, or their number where none does.
std::size_t first_difference(std::span<const double> a, std::span<const double> b);

/// One finding for all settings: the first that did not pass, with its name.
template <class Test>
Finding for_each_setting(const Subject& subject, Test&& test) {
    Finding first;
    for (const Setting& setting : subject.settings()) {
        Finding found;
        try {
            found = test(setting);
        } catch (const PluginError& error) {
            found = failed(error.phase + ": " + error.cause);
        }
        if (found.outcome == Outcome::passed || first.outcome == Outcome::failed) continue;
        if (first.outcome == Outcome::passed || found.outcome == Outcome::failed)
            first = {found.outcome, setting.name + ": " + found.seen};
    }
    return first;
}

} // namespace evictlab::conformance
