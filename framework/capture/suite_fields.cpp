// suite.json field by field against what the traces say of themselves. Its captured_by is left alone: a capture that
// was stopped may have gone on with a newer program.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "base/json/json_field.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/safetensors.hpp"
#include "framework/capture/suite_checks.hpp"

namespace evictlab {
namespace {

std::string lower(std::string_view name) {
    std::string text(name);
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// One trace against its line in "files" and against what all traces share.
class TraceFields {
public:
    TraceFields(const CapturedTrace& trace, std::vector<std::string>& findings) : trace_(trace), findings_(findings) {}

    void compare(const JsonField& object, const char* key, std::string_view here) {
        read(object, key, [&](const JsonField& field) {
            if (field.text() != here) differs(field, text::named(here), text::named(field.text()));
        });
    }

    void compare(const JsonField& object, const char* key, std::size_t here) {
        read(object, key, [&](const JsonField& field) {
            const auto listed = field.whole<std::size_t>();
            if (listed != here) differs(field, std::to_string(here), std::to_string(listed));
        });
    }

    void compare_layers(const JsonField& object) {
        read(object, "layers", [&](const JsonField& field) {
            std::vector<std::size_t> listed;
            for (const JsonField& layer : field.elements()) listed.push_back(layer.whole<std::size_t>());
            if (!std::ranges::equal(listed, trace_.layers()))
                differs(field, fmt::format("{}", fmt::join(trace_.layers(), ", ")),
                        text::line(fmt::format("{}", fmt::join(listed, ", ")), 200));
        });
    }

    void compare_types(const JsonField& top) {
        read(top, "dtype", [&](const JsonField& field) {
            for (const std::size_t layer : trace_.layers())
                for (const char* tensor : {"q", "k", "v"}) {
                    const std::string name = fmt::format("layers.{}.{}", layer, tensor);
                    const std::string type = lower(to_string(trace_.tensors().at(name).type));
                    if (type == field.text()) continue;
                    differs(field, fmt::format("{} in tensor {}", type, name), text::named(field.text()));
                    return;
                }
        });
    }

private:
    /// Fields that are not there say nothing.
    template <class Compare>
    void read(const JsonField& object, const char* key, Compare compare) {
        try {
            if (const auto field = object.member_unless_null(key)) compare(*field);
        } catch (const Error& error) {
            findings_.emplace_back(error.what());
        }
    }

    void differs(const JsonField& field, std::string_view here, std::string_view listed) {
        findings_.push_back(fmt::format("{}: its {} is {}, but suite.json says {}", text::line(trace_.file().string()),
                                        field.path(), here, listed));
    }

    const CapturedTrace& trace_;
    std::vector<std::string>& findings_;
};

} // namespace

std::vector<std::string> fields_that_differ(const SuiteManifest& manifest,
                                            std::span<const std::shared_ptr<const CapturedTrace>> traces) {
    const std::string file = manifest.path_of("suite.json").string();
    const Json json = parse_json(read_text(file, most_manifest_bytes), file);
    const JsonField top(json, file);
    const std::vector<JsonField> files = top.member("files").elements();
    std::vector<std::string> findings;
    for (std::size_t i = 0; i < std::min(files.size(), traces.size()); ++i) {
        if (!traces[i]) continue; // told already
        const CapturedTrace& trace = *traces[i];
        TraceFields fields(trace, findings);
        fields.compare(files[i], "kind", trace.text("kind"));
        fields.compare(files[i], "source", trace.text("text_source"));
        fields.compare(files[i], "licence", trace.text("licence"));
        fields.compare_layers(files[i]);
        fields.compare(top, "prompt_len", trace.prompt_len());
        fields.compare(top, "continuation_len", trace.seq_len() - trace.prompt_len());
        fields.compare_types(top);
        if (manifest.files[i].split == CapturedSplit::test_other_model) continue; // may be of another model
        fields.compare(top, "weights", trace.text("weights"));
        fields.compare(top, "num_layers", trace.num_layers());
    }
    return findings;
}

} // namespace evictlab
