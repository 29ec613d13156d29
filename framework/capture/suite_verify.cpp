// Verifying a captured suite: every file, every value, and that nothing of one split is in another.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "base/error.hpp"
#include "framework/capture/calibration_file.hpp"
#include "framework/capture/float_tensor.hpp"
#include "framework/capture/reconstruction.hpp"
#include "framework/capture/suite_checks.hpp"

namespace evictlab {
namespace {

constexpr std::size_t window_tokens = 64; ///< a run of so many equal tokens in two splits is a leak

using Findings = std::vector<std::string>;

template <class Check>
bool passes(Findings& findings, Check check) {
    try {
        check();
        return true;
    } catch (const Error& error) {
        findings.emplace_back(error.what());
        return false;
    }
}

struct OpenFile {
    const SuiteFile* listed;
    std::shared_ptr<const CapturedTrace> trace;
};

/// Finds runs of tokens that two splits share: windows by a rolling hash, equal ones compared token by token.
class SharedWindows {
public:
    SharedWindows(const std::vector<OpenFile>& files, Findings& findings) : files_(files), findings_(findings) {}

    void add(std::size_t file) {
        const auto ids = files_[file].trace->token_ids();
        if (ids.size() < window_tokens) return;
        std::uint64_t hash = 0;
        for (std::size_t i = 0; i < window_tokens; ++i) hash = hash * base + token(ids[i]);
        for (std::size_t begin = 0;; ++begin) {
            if (look_up(hash, {file, begin})) return; // one finding a file is enough to act on
            if (begin + window_tokens == ids.size()) return;
            hash = (hash - token(ids[begin]) * leading_factor()) * base + token(ids[begin + window_tokens]);
        }
    }

private:
    struct Place {
        std::size_t file, begin;
    };
    static constexpr std::uint64_t base = 0x9e3779b97f4a7c15u;
    static std::uint64_t token(std::int32_t id) { return static_cast<std::uint32_t>(id) + std::uint64_t{1}; }
    static constexpr std::uint64_t leading_factor() {
        std::uint64_t factor = 1;
        for (std::size_t i = 1; i < window_tokens; ++i) factor *= base;
        return factor;
    }

    bool look_up(std::uint64_t hash, Place here) {
        const auto [first, last] = seen_.equal_range(hash);
        bool is_known = false;
        for (auto found = first; found != last; ++found) {
            const Place there = found->second;
            if (!equal(there, here)) continue;
            if (may_share(files_[there.file].listed->split, files_[here.file].listed->split)) {
                is_known = true;
                continue;
            }
            findings_.push_back(
                fmt::format("{}: tokens {} to {} are also tokens {} to {} of {}, which is in split {}, not {}",
                            files_[here.file].trace->file().string(), here.begin, here.begin + window_tokens - 1,
                            there.begin, there.begin + window_tokens - 1, files_[there.file].listed->file,
                            to_string(files_[there.file].listed->split), to_string(files_[here.file].listed->split)));
            return true;
        }
        if (!is_known) seen_.emplace(hash, here);
        return false;
    }

    bool equal(Place a, Place b) const {
        const auto x = files_[a.file].trace->token_ids().subspan(a.begin, window_tokens);
        const auto y = files_[b.file].trace->token_ids().subspan(b.begin, window_tokens);
        return std::ranges::equal(x, y);
    }

    const std::vector<OpenFile>& files_;
    Findings& findings_;
    std::unordered_multimap<std::uint64_t, Place> seen_;
};

/// Every tensor, also those that no measure reads.
void check_values(const SafetensorsFile& file, Findings& findings) {
    for (const TensorInfo& tensor : file.tensors())
        passes(findings, [&] {
            check_all_finite(file, tensor);
            const TensorInfo* const scale = file.find(tensor.name + ".scale");
            if (tensor.type == DType::i8 && scale != nullptr) check_all_finite(file, tensor, *scale);
        });
}

} // namespace

std::vector<std::string> verify_suite(const std::filesystem::path& folder) {
    const SuiteManifest manifest = read_suite_manifest(folder);
    Findings findings = documents_in_two_splits(manifest);
    std::shared_ptr<const OutputProjections> projections;
    passes(findings, [&] { projections = open_projections(manifest); });
    std::shared_ptr<const Calibration> calibration;
    passes(findings, [&] { calibration = open_calibration(manifest); });
    std::vector<OpenFile> files;
    std::vector<std::shared_ptr<const CapturedTrace>> traces; // by manifest.files
    for (const SuiteFile& listed : manifest.files) {
        passes(findings, [&] { check_hashes_of(manifest, listed); });
        std::shared_ptr<const CapturedTrace> trace;
        traces.emplace_back();
        if (!passes(findings, [&] { trace = open_trace_of(manifest, listed, projections, calibration, true); }))
            continue;
        check_values(trace->tensors(), findings);
        if (trace->reconstruction()) check_values(trace->reconstruction()->tensors(), findings);
        traces.back() = trace;
        files.push_back({&listed, std::move(trace)});
    }
    std::ranges::move(fields_that_differ(manifest, traces), std::back_inserter(findings));
    if (projections) check_values(projections->tensors(), findings);
    if (projections)
        passes(findings, [&] { check_hash(manifest.path_of(manifest.model_file), manifest.model_sha256); });
    SharedWindows windows(files, findings);
    for (std::size_t file = 0; file < files.size(); ++file) windows.add(file);
    return findings;
}

} // namespace evictlab
