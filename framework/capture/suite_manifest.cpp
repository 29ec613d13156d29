// suite.json: what a captured suite consists of.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/capture/captured_suite.hpp"
#include "framework/capture/safetensors.hpp"
#include "framework/error.hpp"

namespace evictlab {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view suite_format = "evictlab-suite/1";
constexpr int most_nesting = 32;
constexpr std::size_t most_bytes = std::size_t{16} << 20;

[[noreturn]] void fail(const fs::path& file, std::string_view what) {
    throw Error(fmt::format("{}: {}", file.string(), what));
}

Json read_json(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    std::string text(most_bytes + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > most_bytes) fail(file, "is larger than 16 MiB: it is no list of traces");
    const auto limit = [&file](int depth, Json::parse_event_t, const Json&) {
        if (depth > most_nesting) fail(file, fmt::format("is nested more than {} levels deep", most_nesting));
        return true;
    };
    try {
        return Json::parse(text, limit);
    } catch (const Json::exception& error) {
        const std::string_view reason = error.what();
        fail(file, fmt::format("is not JSON: {}", reason.substr(std::min(reason.find("] ") + 2, reason.size()))));
    }
}

/// An object of suite.json with its place, for messages.
class Fields {
public:
    Fields(const fs::path& file, const Json& json, std::string place)
        : file_(file), json_(json), place_(std::move(place)) {
        if (!json.is_object()) wrong(place_.empty() ? "the top" : place_, "must be an object");
    }

    const Json* find(const char* key) const {
        const auto found = json_.find(key);
        return found == json_.end() || found->is_null() ? nullptr : &*found;
    }
    std::string optional(const char* key) const {
        const Json* const value = find(key);
        if (value == nullptr) return {};
        if (!value->is_string()) wrong(path(key), "must be a text");
        return value->get<std::string>();
    }
    std::string text(const char* key) const {
        std::string value = optional(key);
        if (value.empty()) wrong(path(key), "is missing or empty");
        return value;
    }
    std::string sha256() const {
        std::string value = text("sha256");
        const bool digits = value.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (value.size() != 64 || !digits)
            wrong(path("sha256"), fmt::format("is {}, but must be 64 digits 0-9, a-f", quoted_name(value)));
        return value;
    }
    /// A path that stays within the suite's folder.
    std::string file_name() const {
        std::string value = text("file");
        const fs::path inside(value);
        const bool leaves =
            inside.is_absolute() || std::ranges::any_of(inside, [](const auto& p) { return p == ".."; });
        if (leaves) wrong(path("file"), fmt::format("is {}, but must lie in the suite's folder", quoted_name(value)));
        return inside.lexically_normal().string();
    }
    std::string path(std::string_view key) const {
        return place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
    }
    [[noreturn]] void wrong(std::string_view where, std::string_view what) const {
        fail(file_, fmt::format("{}: {}", where, what));
    }

private:
    const fs::path& file_;
    const Json& json_;
    std::string place_;
};

SuiteFile read_file(const Fields& fields) {
    SuiteFile out;
    out.file = fields.file_name();
    const std::string split = fields.text("split");
    const auto known = captured_split(split);
    if (!known)
        fields.wrong(fields.path("split"),
                     fmt::format("is {}, but must be train, valid, test or test_other_model", quoted_name(split)));
    out.split = *known;
    out.document = fields.text("document");
    out.kind = fields.optional("kind");
    out.sha256 = fields.sha256();
    return out;
}

} // namespace

SuiteManifest read_suite_manifest(const fs::path& folder) {
    const fs::path file = folder / "suite.json";
    const Json json = read_json(file);
    const Fields top(file, json, {});
    if (const std::string format = top.optional("format"); format != suite_format)
        fail(file, fmt::format("its \"format\" is {}; this evictlab reads {}", quoted_name(format), suite_format));
    SuiteManifest out;
    out.folder = folder;
    out.name = top.text("name");
    out.model = top.text("model");
    out.weights = top.optional("weights");
    out.licence = top.optional("licence");
    const Json* const files = top.find("files");
    if (files == nullptr || !files->is_array() || files->empty()) top.wrong("files", "must be a list of trace files");
    std::set<std::string> names;
    for (std::size_t i = 0; i < files->size(); ++i) {
        const Fields fields(file, (*files)[i], fmt::format("files[{}]", i));
        out.files.push_back(read_file(fields));
        if (!names.insert(out.files.back().file).second)
            fields.wrong(fields.path("file"),
                         fmt::format("{} is in the list twice", quoted_name(out.files.back().file)));
    }
    if (const Json* const model_file = top.find("model_file")) {
        const Fields fields(file, *model_file, "model_file");
        out.model_file = fields.file_name();
        out.model_sha256 = fields.sha256();
    }
    return out;
}

} // namespace evictlab
