// A captured suite: a folder with suite.json, trace files in splits, and the output projections of the model.
// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/capture/captured_trace.hpp"
#include "framework/suite/suite.hpp"

namespace evictlab {

/// `model.safetensors` of a suite: W_o of each held layer. Immutable and thread-safe; mapped as traces are.
class OutputProjections {
public:
    /// Checks names, types and shapes. Throws Error with file and tensor.
    explicit OutputProjections(const std::filesystem::path& file);
    ~OutputProjections();
    OutputProjections(const OutputProjections&) = delete;
    OutputProjections& operator=(const OutputProjections&) = delete;

    const std::filesystem::path& file() const { return file_; }
    bool has(std::size_t layer) const;
    std::size_t hidden(std::size_t layer) const;     ///< rows; Error where the layer is not in it
    std::size_t input_size(std::size_t layer) const; ///< columns: query_heads * dim
    const SafetensorsFile& tensors() const { return *tensors_; }
    /// A fresh copy [hidden][query_heads * dim]; Error where the layer is not in it or a value is not finite.
    AlignedFloats load(std::size_t layer) const;

private:
    std::filesystem::path file_;
    std::unique_ptr<const SafetensorsFile> tensors_;
};

/// A line of suite.json's "files".
struct SuiteFile {
    std::string file; ///< inside the suite's folder
    CapturedSplit split = CapturedSplit::none;
    std::string document, kind, sha256;
    std::string reconstruction{}, reconstruction_sha256{}; ///< of its second pass's file; empty where there is none
    std::string left_out{}; ///< why the document carries no claim: the model cannot do it by itself; "" otherwise
    std::vector<std::size_t> answer_ends{}; ///< positions of the last tokens of the continuation's answers
};

/// suite.json, checked by itself: the files that it names are not opened.
struct SuiteManifest {
    std::filesystem::path folder;
    std::string name, model, weights, licence;
    std::vector<SuiteFile> files;
    std::string model_file, model_sha256;                 ///< empty where the suite has no output projections
    std::string calibration_file{}, calibration_sha256{}; ///< empty where it has no calibration

    std::filesystem::path path_of(const std::string& file) const { return folder / file; }
};

/// Reads FOLDER/suite.json. Throws Error with file and field.
SuiteManifest read_suite_manifest(const std::filesystem::path& folder);

/// The suite of that name on EVICTLAB_SUITE_PATH (folders of suites, parted by ':') or, else, among the shipped ones.
std::optional<std::filesystem::path> captured_suite_by_name(std::string_view name);
/// The same, or the folder that the text is a path of. Nothing where there is no such suite.
std::optional<std::filesystem::path> find_captured_suite(std::string_view name_or_folder);
/// Names of the captured suites that can be used by name, sorted.
std::vector<std::string> captured_suite_names();

/// Opens the suite; hashes are checked here where its files are below 64 MiB together, else by verify_suite() alone.
/// Of the options only `patterns` (the first so many documents of each split), `sliding_layers` and `calibration`
/// apply: UsageError for others. `test_other_model` files may be of another model than the suite's; those have no
/// output projections and no calibration.
Suite open_captured_suite(const std::filesystem::path& folder, const SuiteOptions& options = {});

/// Everything that can be wrong with a suite, one line a finding: hashes, shapes, values that are not finite, a
/// document in two splits, a run of 64 tokens in two splits. Empty where all is well. Throws Error where suite.json
/// cannot be read.
std::vector<std::string> verify_suite(const std::filesystem::path& folder);

} // namespace evictlab
