// SPDX-License-Identifier: MIT
#include "engine/program/documents.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "base/digest/digest.hpp"
#include "base/error.hpp"
#include "base/input/input.hpp"
#include "base/json/json_field.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/captured_suite.hpp"

namespace evictlab::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t most_manifest_bytes = 64 << 20, most_text_bytes = 64 << 20;

bool is_served(const std::string& split) { return split == "train" || split == "valid"; }

std::vector<llama_token> checked(std::span<const std::int32_t> tokens, const Model& model, const fs::path& file) {
    for (const std::int32_t token : tokens)
        if (token < 0 || static_cast<std::size_t>(token) >= model.vocabulary())
            throw Error(fmt::format("{}: token {} is not one of the model's {}", text::named(file.string(), 200), token,
                                    model.vocabulary()));
    return {tokens.begin(), tokens.end()};
}

DocumentSet of_suite(const fs::path& folder, const Model& model, const std::string& sha256) {
    const SuiteManifest manifest = read_suite_manifest(folder);
    if (manifest.weights.find(sha256) == std::string::npos)
        throw Error(
            fmt::format("{}: was captured from other weights ({}) than {}, of which the SHA-256 is {}; give the "
                        "file that it was captured from",
                        text::named(folder.string(), 200), text::line(manifest.weights, 300),
                        text::named(model.file().string(), 200), sha256));
    DocumentSet set{manifest.name, open_captured_suite(folder).hash(), {}};
    for (const SuiteFile& entry : manifest.files) {
        const std::string split(to_string(entry.split));
        if (!is_served(split)) continue;
        const fs::path file = manifest.path_of(entry.file);
        const CapturedTrace trace(file);
        if (trace.prompt_len() >= trace.seq_len())
            throw Error(fmt::format("{}: nothing follows its prompt", text::named(file.string(), 200)));
        set.documents.push_back({fmt::format("{}/{}/{}", manifest.name, split, entry.document), entry.kind, split,
                                 checked(trace.token_ids(), model, file), trace.prompt_len()});
    }
    return set;
}

std::string text_of(const fs::path& file) {
    std::string raw;
    try {
        raw = input::read_whole(file, most_text_bytes, input::Accept::files);
    } catch (const input::Problem& problem) {
        throw Error(fmt::format("text {} {}", text::named(file.string(), 200), problem.what()));
    }
    std::string lines; // with the line ends that files of text are read with
    for (std::size_t i = 0; i < raw.size(); ++i)
        if (raw[i] != '\r')
            lines += raw[i];
        else if (i + 1 == raw.size() || raw[i + 1] != '\n')
            lines += '\n';
    return lines;
}

/// As evictlab-verdict has it, which writes the numbers as Python does.
std::string hash_of(const Document& document) {
    return sha256_hex(fmt::format("[{}, {}]", document.prompt, fmt::join(document.tokens, ", ")));
}

DocumentSet of_manifest(const fs::path& file, const Model& model, const TextSizes& sizes) {
    const std::string name = file.string();
    const Json json = parse_json(read_text(file, most_manifest_bytes), name);
    const JsonField manifest(json, name);
    if (const JsonField format = manifest.member("format"); format.text() != "evictlab-documents/1")
        format.fail("expected \"evictlab-documents/1\"");
    DocumentSet set{file.stem().string(), "", {}};
    std::set<std::string> names;
    std::string hashes;
    for (const JsonField& entry : manifest.member("documents").elements()) {
        Document document{entry.member("document").text(),
                          entry.member("kind").text(),
                          entry.member("split").text(),
                          {},
                          sizes.prompt};
        if (!names.insert(document.name).second) entry.member("document").fail("there is another of this name");
        const fs::path path = file.parent_path() / entry.member("file").text();
        if (!is_served(document.split)) continue;
        document.tokens = model.tokens(text_of(path));
        const std::size_t wanted = sizes.prompt + sizes.continuation;
        if (document.tokens.size() < wanted)
            throw Error(
                fmt::format("{}: {} tokens, but {} are needed, {} of them behind the prompt; give a longer text, "
                            "or smaller --tokens and --continuation",
                            text::named(path.string(), 200), document.tokens.size(), wanted, sizes.continuation));
        document.tokens.resize(wanted);
        hashes += hash_of(document);
        set.documents.push_back(std::move(document));
    }
    set.hash = "sha256:" + sha256_hex(hashes);
    return set;
}

} // namespace

DocumentSet documents_to_search_by(const std::string& input, const Model& model, const std::string& sha256,
                                   const TextSizes& sizes) {
    DocumentSet set;
    if (const fs::path path = input; path.extension() == ".json" && !fs::is_directory(path)) {
        set = of_manifest(path, model, sizes);
    } else if (const auto folder = find_captured_suite(input)) {
        set = of_suite(*folder, model, sha256);
    } else {
        throw UsageError(fmt::format("{} is no captured suite and no manifest of documents, which ends in .json",
                                     text::named(input, 200)));
    }
    if (set.documents.empty())
        throw Error(fmt::format("{}: no document of the split train or valid, and no others are served",
                                text::named(input, 200)));
    for (const Document& document : set.documents)
        if (document.tokens.size() > static_cast<std::size_t>(llama_model_n_ctx_train(model.get())))
            throw Error(fmt::format("{}: {} tokens, but the model was made for {} at most", document.name,
                                    document.tokens.size(), llama_model_n_ctx_train(model.get())));
    return set;
}

} // namespace evictlab::engine
