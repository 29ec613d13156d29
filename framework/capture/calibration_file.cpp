// SPDX-License-Identifier: MIT
#include "framework/capture/calibration_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/digest/digest.hpp"
#include "base/json/json_field.hpp"
#include "base/text/shown.hpp"
#include "framework/capture/float_tensor.hpp"
#include "framework/capture/suite_checks.hpp"

namespace evictlab {
namespace {

constexpr std::string_view calibration_format = "evictlab-calibration/1";
constexpr std::size_t most_layers = 1024, most_heads = 65536, most_dim = 65536, most_rows = 65536;
constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;
constexpr std::string_view constants = "constants.", tables = "tables.";

class Reader {
public:
    explicit Reader(const std::filesystem::path& file) : file_(file) {
        if (file_.size() > most_bytes) file_.fail("larger than 1 GiB: no calibration");
        if (const std::string format = text("format"); format != calibration_format)
            file_.fail(
                fmt::format("its metadata 'format' is {}, but must be {}", text::named(format), calibration_format));
    }

    std::shared_ptr<const Calibration> read() {
        auto out = std::make_shared<Calibration>();
        out->file = file_.file().string();
        const auto sha256 = sha256_hex_of_file(file_.file());
        if (!sha256) file_.fail("cannot be read");
        out->sha256 = *sha256;
        out->model = text("model");
        if (const auto at = file_.metadata().find("weights"); at != file_.metadata().end()) out->weights = at->second;
        out->num_layers = whole("num_layers", most_layers);
        out->query_heads = whole("query_heads", most_heads);
        out->kv_heads = whole("kv_heads", most_heads);
        out->dim = whole("head_dim", most_dim);
        if (out->query_heads % out->kv_heads != 0 || out->dim % 2 != 0)
            file_.fail(fmt::format("its metadata has {} query heads, {} KV heads and a head_dim of {}: KV heads must "
                                   "divide query heads, and head_dim be even",
                                   out->query_heads, out->kv_heads, out->dim));
        read_layers(*out);
        read_documents(*out);
        for (const std::uint32_t layer : out->layers) read_layer(*out, layer);
        for (const TensorInfo& tensor : file_.tensors()) read_table(*out, tensor);
        return out;
    }

private:
    const std::string& text(const char* key) const {
        const auto at = file_.metadata().find(key);
        if (at == file_.metadata().end() || at->second.empty())
            file_.fail(fmt::format("its metadata has no '{}'", key));
        return at->second;
    }

    std::size_t number(std::string_view digits, const char* key, std::size_t low, std::size_t high) const {
        std::size_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size() || value < low || value > high)
            file_.fail(fmt::format("its metadata '{}' holds {}, but a whole number from {} to {} must be there", key,
                                   text::named(digits), low, high));
        return value;
    }

    std::size_t whole(const char* key, std::size_t most) const { return number(text(key), key, 1, most); }

    void read_layers(Calibration& out) const {
        std::string_view rest = text("layers");
        while (true) {
            const std::size_t end = std::min(rest.find(','), rest.size());
            const std::size_t layer = number(rest.substr(0, end), "layers", 0, out.num_layers - 1);
            if (!out.layers.empty() && layer <= out.layers.back())
                file_.fail("its metadata 'layers' is not ascending, as 0,7,14 is");
            out.layers.push_back(static_cast<std::uint32_t>(layer));
            if (end == rest.size()) return;
            rest.remove_prefix(end + 1);
        }
    }

    void read_documents(Calibration& out) const {
        const std::string source = fmt::format("{}: metadata 'documents'", file_.file().string());
        const Json json = parse_json(text("documents"), source);
        for (const JsonField& each : JsonField(json, source).elements())
            out.documents.push_back(each.member("document").text());
        if (out.documents.empty()) file_.fail("its metadata 'documents' names none");
    }

    std::vector<float> values(const TensorInfo& tensor, std::vector<std::size_t> shape) const {
        if (tensor.shape != shape)
            file_.fail(tensor.name,
                       fmt::format("its shape is {}, but must be {}", shape_text(tensor.shape), shape_text(shape)));
        const AlignedFloats loaded = load_floats(file_, tensor);
        return {loaded.begin(), loaded.end()};
    }

    void read_layer(Calibration& out, std::size_t layer) const {
        const auto tensor = [&](std::string_view what, std::size_t heads, std::size_t width) {
            return values(file_.at(fmt::format("layers.{}.{}", layer, what)), {heads, width});
        };
        LayerCalibration made;
        made.whole = &out;
        made.place = out.by_layer.size();
        made.query_axis = tensor("query_axis", out.kv_heads, out.dim);
        made.query_mean = tensor("query_mean", out.query_heads, out.dim);
        made.query_abs_mean = tensor("query_abs_mean", out.query_heads, out.dim / 2);
        out.by_layer.push_back(std::move(made));
    }

    void read_table(Calibration& out, const TensorInfo& tensor) const {
        const bool constant = tensor.name.starts_with(constants);
        if (!constant && !tensor.name.starts_with(tables)) return;
        const std::string name = tensor.name.substr(constant ? constants.size() : tables.size());
        const std::size_t rows = constant || tensor.shape.empty() ? 1 : tensor.shape.front();
        if (rows == 0 || rows > most_rows) file_.fail(tensor.name, fmt::format("has {} rows", rows));
        std::vector<std::size_t> shape{rows, out.layers.size(), out.kv_heads};
        if (constant) shape.erase(shape.begin());
        if (!out.tables.emplace(name, CalibrationTable{rows, values(tensor, shape)}).second)
            file_.fail(tensor.name, "a name for constants and a table at once");
    }

    SafetensorsFile file_;
};

} // namespace

std::shared_ptr<const Calibration> read_calibration(const std::filesystem::path& file) { return Reader(file).read(); }

std::shared_ptr<const Calibration> open_calibration(const SuiteManifest& manifest, const std::string& asked_for) {
    if (asked_for.empty() && manifest.calibration_file.empty()) return nullptr;
    const auto file =
        asked_for.empty() ? manifest.path_of(manifest.calibration_file) : std::filesystem::path(asked_for);
    if (asked_for.empty()) check_hash(file, manifest.calibration_sha256);
    auto found = read_calibration(file);
    const std::string place = text::line(file.string());
    if (found->model != manifest.model)
        throw Error(fmt::format("{}: a calibration of the model {}, but the suite {} is of {}; {}", place,
                                text::named(found->model), text::named(manifest.name), text::named(manifest.model),
                                how_to_calibrate));
    if (!found->weights.empty() && !manifest.weights.empty() && found->weights != manifest.weights)
        throw Error(fmt::format("{}: a calibration of other weights ({}) than the suite {} is of ({}); {}", place,
                                text::named(found->weights), text::named(manifest.name), text::named(manifest.weights),
                                how_to_calibrate));
    for (const SuiteFile& listed : manifest.files)
        if (listed.split != CapturedSplit::train && std::ranges::count(found->documents, listed.document) > 0)
            throw Error(fmt::format("{}: was learned from the document {}, which is in the split {} of the suite {}: "
                                    "what judges must not be learned from",
                                    place, text::named(listed.document), to_string(listed.split),
                                    text::named(manifest.name)));
    return found;
}

void check_calibration(const CapturedTrace& trace, const Calibration& calibration) {
    for (const std::size_t layer : trace.layers()) {
        const LayerShape shape = trace.shape(layer);
        const std::string why = calibration.misfit(trace.num_layers(), shape.query_heads, shape.kv_heads, shape.dim);
        if (!why.empty())
            throw Error(fmt::format("{}: the calibration {} ({})", text::line(calibration.file), why,
                                    text::line(trace.file().string())));
    }
}

std::string calibration_gap(const CapturedTrace& trace, const Calibration& calibration) {
    for (const std::size_t layer : trace.held_layers())
        if (!calibration.layer(layer))
            return fmt::format("{} holds layer {}, which the calibration {} lacks; it holds {}",
                               text::line(trace.file().string()), layer, text::line(calibration.file),
                               calibration.layers_text());
    return "";
}

} // namespace evictlab
