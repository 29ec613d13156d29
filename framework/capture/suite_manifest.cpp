// suite.json: what a captured suite consists of.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json/json_field.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/captured_suite.hpp"
#include "framework/capture/suite_checks.hpp"

namespace evictlab {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view suite_format = "evictlab-suite/1";

std::string optional_text(const JsonField& object, std::string_view key) {
    const auto field = object.member_unless_null(key);
    return field ? field->text() : std::string();
}

std::string text_of(const JsonField& object, std::string_view key) {
    const JsonField field = object.member(key);
    if (field.text().empty()) field.fail("is empty");
    return field.text();
}

std::string sha256_of(const JsonField& object) {
    const JsonField field = object.member("sha256");
    const std::string& text = field.text();
    if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos)
        field.fail(fmt::format("is {}, but must be 64 digits 0-9, a-f", text::named(text)));
    return text;
}

/// A path that stays within the suite's folder.
std::string file_of(const JsonField& object) {
    const JsonField field = object.member("file");
    const fs::path inside(text_of(object, "file"));
    if (inside.is_absolute() || std::ranges::any_of(inside, [](const auto& part) { return part == ".."; }))
        field.fail(fmt::format("is {}, but must lie in the suite's folder", text::named(field.text())));
    return inside.lexically_normal().string();
}

/// The answers in a file's continuation that its prompt gives.
std::vector<JsonField> lookups_of(const JsonField& object) {
    const auto uncompressed = object.member_unless_null("uncompressed");
    const auto lookups = uncompressed ? uncompressed->member_unless_null("lookups") : std::nullopt;
    return lookups ? lookups->elements() : std::vector<JsonField>{};
}

/// `tokens` of an answer is [first, past).
std::vector<std::size_t> answer_ends_of(const JsonField& object) {
    std::vector<std::size_t> ends;
    for (const JsonField& lookup : lookups_of(object)) {
        const auto tokens = lookup.member_unless_null("tokens");
        if (!tokens) continue;
        const std::vector<JsonField> places = tokens->elements();
        if (places.size() != 2 || places[0].whole<std::size_t>() >= places[1].whole<std::size_t>())
            tokens->fail("is not the places of an answer's first token and of that behind its last one");
        ends.push_back(places[1].whole<std::size_t>() - 1);
    }
    return ends;
}

/// Fewer than half of the answers that the prompt gives are the model's own without eviction.
std::string left_out_of(const JsonField& object) {
    std::size_t asked = 0, right = 0;
    for (const JsonField& lookup : lookups_of(object)) {
        ++asked;
        if (lookup.member("right").truth()) ++right;
    }
    if (2 * right >= asked) return "";
    return fmt::format("the model answers {} of {} lookups without eviction", right, asked);
}

CapturedSplit split_of(const JsonField& object) {
    const JsonField field = object.member("split");
    const auto split = captured_split(text_of(object, "split"));
    if (!split)
        field.fail(fmt::format("is {}, but must be train, valid, test or test_other_model", text::named(field.text())));
    return *split;
}

} // namespace

SuiteManifest read_suite_manifest(const fs::path& folder) {
    const std::string file = (folder / "suite.json").string();
    const Json json = parse_json(read_text(file, most_manifest_bytes), file);
    const JsonField top(json, file);
    if (const JsonField format = top.member("format"); format.text() != suite_format)
        format.fail(fmt::format("is {}; this evictlab reads {}", text::named(format.text()), suite_format));
    SuiteManifest out;
    out.folder = folder;
    out.name = text_of(top, "name");
    out.model = text_of(top, "model");
    out.weights = optional_text(top, "weights");
    out.licence = optional_text(top, "licence");
    std::set<std::string> names;
    for (const JsonField& listed : top.member("files").elements()) {
        out.files.push_back({file_of(listed),
                             split_of(listed),
                             text_of(listed, "document"),
                             optional_text(listed, "kind"),
                             sha256_of(listed),
                             {},
                             {},
                             left_out_of(listed),
                             answer_ends_of(listed)});
        if (const auto second = listed.member_unless_null("reconstruction")) {
            out.files.back().reconstruction = file_of(*second);
            out.files.back().reconstruction_sha256 = sha256_of(*second);
        }
        if (!names.insert(out.files.back().file).second)
            listed.fail(fmt::format("the file {} is in the list twice", text::named(out.files.back().file)));
    }
    if (out.files.empty()) top.member("files").fail("is empty: a suite has at least one trace");
    if (const auto model = top.member_unless_null("model_file")) {
        out.model_file = file_of(*model);
        out.model_sha256 = sha256_of(*model);
    }
    if (const auto calibration = top.member_unless_null("calibration_file")) {
        out.calibration_file = file_of(*calibration);
        out.calibration_sha256 = sha256_of(*calibration);
    }
    return out;
}

} // namespace evictlab
