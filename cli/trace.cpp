// evictlab trace: shows captured traces and verifies captured suites.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "base/error.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/reconstruction.hpp"
#include "framework/capture/safetensors.hpp"

namespace evictlab::cli {
namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view usage =
    "Usage: evictlab trace info FILE...\n"
    "       evictlab trace verify SUITE\n\n"
    "  info    what trace files hold: model, document, split, tokens, layers, shapes, types and sizes\n"
    "  verify  checks a captured suite, by its name or folder: hashes, shapes, that all values are finite, that no\n"
    "          document and no run of 64 tokens is in two splits. One line a finding, and exit code 1 where there is "
    "one";

constexpr std::string_view examples = "  evictlab trace info suites/smollm2/*.safetensors\n"
                                      "  evictlab trace verify smollm2\n"
                                      "  evictlab trace verify path/to/my-suite\n";

std::string size_text(std::size_t bytes) {
    if (bytes < 10'000) return fmt::format("{} bytes", bytes);
    if (bytes < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

void print_line(std::string_view what, const std::string& value) {
    if (!value.empty()) say("{:<14}{}\n", what, value);
}

void print_layers(const CapturedTrace& trace) {
    const auto type = [&trace](std::size_t layer, std::string_view tensor) {
        return to_string(trace.tensors().at(fmt::format("layers.{}.{}", layer, tensor)).type);
    };
    say("\n{:>5}  {:>11}  {:>8}  {:>4}  {:>6}  {:>5}  {:>5}  {:>5}  {:>6}  {:>10}\n", "layer", "query heads",
        "KV heads", "dim", "window", "q", "k", "v", "wov_l1", "size");
    for (const std::size_t layer : trace.layers()) {
        const LayerShape shape = trace.shape(layer);
        const std::size_t window = trace.sliding_window(layer);
        std::size_t bytes = 0;
        for (const TensorInfo& tensor : trace.tensors().tensors())
            if (tensor.name.starts_with(fmt::format("layers.{}.", layer))) bytes += tensor.end - tensor.begin;
        say("{:>5}  {:>11}  {:>8}  {:>4}  {:>6}  {:>5}  {:>5}  {:>5}  {:>6}  {:>10}\n", layer, shape.query_heads,
            shape.kv_heads, shape.dim, window == 0 ? "full" : fmt::format("{}", window), type(layer, "q"),
            type(layer, "k"), type(layer, "v"), trace.has_wov_l1(layer) ? "yes" : "no", size_text(bytes));
    }
}

void print_trace(const std::string& file) {
    CaptureOptions options;
    if (const auto beside = reconstruction_beside(file); std::filesystem::exists(beside))
        options.reconstruction = beside;
    const CapturedTrace trace(file, std::move(options));
    print_line("file", fmt::format("{} ({})", file, size_text(trace.tensors().size())));
    print_line("document", trace.document());
    print_line("kind", trace.kind());
    print_line("split", std::string(to_string(trace.split())));
    print_line("model", trace.model());
    print_line("weights", trace.text("weights"));
    print_line("text source", trace.text("text_source"));
    print_line("licence", trace.text("licence"));
    print_line("captured by", trace.text("captured_by"));
    print_line("tokens", fmt::format("{}: prompt {}, continuation {}", trace.seq_len(), trace.prompt_len(),
                                     trace.seq_len() - trace.prompt_len()));
    print_line("second pass", trace.reconstruction() ? trace.reconstruction()->tensors().file().string() : "no");
    print_line("token types", trace.has_token_type() ? "yes" : "no");
    print_line("softmax scale", fmt::format("{}", trace.softmax_scale()));
    print_line("layers",
               fmt::format("{} of {}: {}", trace.layers().size(), trace.num_layers(), fmt::join(trace.layers(), ", ")));
    print_layers(trace);
}

int info(const Strings& files) {
    if (files.empty()) throw UsageError("no file given: evictlab trace info FILE...");
    bool failed = false;
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (i > 0) say("\n");
        (void)std::fflush(stdout);
        try {
            print_trace(files[i]);
        } catch (const Error& error) { // the other files are shown all the same
            complain(error.what());
            failed = true;
        }
    }
    return failed ? exit_failure : exit_ok;
}

int verify(const Strings& suites) {
    if (suites.size() != 1) throw UsageError("expected one suite: evictlab trace verify SUITE");
    const auto folder = find_captured_suite(suites[0]);
    if (!folder)
        throw UsageError(fmt::format("no captured suite '{}': it is neither a folder with a suite.json nor one of: {}",
                                     suites[0], fmt::join(captured_suite_names(), ", ")));
    const Strings findings = verify_suite(*folder);
    for (const std::string& finding : findings) say("{}\n", finding);
    if (!findings.empty()) {
        complain(fmt::format("{} finding{} in {}", findings.size(), findings.size() == 1 ? "" : "s", folder->string()));
        return exit_failure;
    }
    const SuiteManifest manifest = read_suite_manifest(*folder);
    say("ok: suite '{}', {} traces of {}, {}\n", manifest.name, manifest.files.size(), manifest.model,
        manifest.model_file.empty() ? "no output projections" : "with output projections");
    return exit_ok;
}

po::options_description trace_options() { return po::options_description("Options"); }

int run(const Strings& arguments) {
    const auto values = parse_options(arguments, trace_options(), "words", usage, examples);
    if (!values) return exit_ok;
    const auto& words = (*values)["words"].as<Strings>();
    if (words.empty()) throw UsageError("expected info or verify; see --help");
    const Strings rest(words.begin() + 1, words.end());
    if (words[0] == "info") return info(rest);
    if (words[0] == "verify") return verify(rest);
    throw UsageError(fmt::format("unknown action '{}': it is info or verify", words[0]));
}

} // namespace

const Command trace_command{"trace", "show and verify attention captured from models", run, trace_options, "words"};

} // namespace evictlab::cli
