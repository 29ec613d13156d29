// SPDX-License-Identifier: MIT
#include "framework/capture/trace_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/text/shown.hpp"

namespace evictlab {
namespace {

constexpr std::size_t most_layers = 10'000;

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

class Metadata {
public:
    explicit Metadata(const SafetensorsFile& file) : file_(file) {}

    std::string optional(const std::string& key) const {
        const auto found = file_.metadata().find(key);
        return found == file_.metadata().end() ? std::string() : found->second;
    }

    std::string text(const std::string& key) const {
        std::string value = optional(key);
        if (value.empty()) file_.fail(fmt::format("its metadata has no '{}'; capture the file again", key));
        return value;
    }

    std::size_t whole(const std::string& key) const {
        const std::string value = text(key);
        const auto number = number_of<std::size_t>(value);
        if (!number) wrong(key, value, "a whole number");
        return *number;
    }

    float above_zero(const std::string& key) const {
        const std::string value = text(key);
        const auto number = number_of<float>(value);
        if (!number || !std::isfinite(*number) || *number <= 0) wrong(key, value, "a number above 0");
        return *number;
    }

    /// "0, 14, 29", with or without brackets.
    std::vector<std::size_t> list(const std::string& key) const {
        const std::string value = text(key);
        std::string_view rest = value;
        if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
        std::vector<std::size_t> numbers;
        for (bool more = true; more;) {
            const auto comma = rest.find(',');
            std::string_view word = rest.substr(0, comma);
            while (word.starts_with(' ')) word.remove_prefix(1);
            while (word.ends_with(' ')) word.remove_suffix(1);
            const auto number = number_of<std::size_t>(word);
            if (!number) wrong(key, value, "whole numbers parted by commas");
            numbers.push_back(*number);
            more = comma != std::string_view::npos;
            if (more) rest.remove_prefix(comma + 1);
        }
        return numbers;
    }

    [[noreturn]] void wrong(const std::string& key, std::string_view value, std::string_view expected) const {
        file_.fail(fmt::format("its metadata '{}' is {}, but must be {}", key, text::named(value), expected));
    }

private:
    const SafetensorsFile& file_;
};

void read_layers(const SafetensorsFile& file, const Metadata& metadata, TraceMetadata& out) {
    const std::vector<std::size_t> layers = metadata.list("layers"), windows = metadata.list("sliding_window");
    if (windows.size() != layers.size())
        file.fail(
            fmt::format("its metadata 'sliding_window' has {} numbers for the {} layers that 'layers' names; it must "
                        "have one a layer, 0 for full attention",
                        windows.size(), layers.size()));
    std::vector<std::pair<std::size_t, std::size_t>> held;
    for (std::size_t i = 0; i < layers.size(); ++i) held.emplace_back(layers[i], windows[i]);
    std::ranges::sort(held);
    for (std::size_t i = 0; i < held.size(); ++i) {
        if (i > 0 && held[i].first == held[i - 1].first)
            file.fail(fmt::format("its metadata 'layers' names layer {} twice", held[i].first));
        if (held[i].first >= out.num_layers)
            file.fail(fmt::format("its metadata 'layers' names layer {}, but 'num_layers' is {}", held[i].first,
                                  out.num_layers));
        out.layers.push_back(held[i].first);
        out.sliding_windows.push_back(held[i].second);
    }
}

} // namespace

TraceMetadata read_trace_metadata(const SafetensorsFile& file) {
    const Metadata metadata(file);
    const std::string format = metadata.optional("format");
    if (format.empty()) file.fail("is a safetensors file, but no trace: its metadata has no 'format'");
    if (format != trace_format)
        file.fail(fmt::format("its format is {}; this evictlab reads {}", text::named(format), trace_format));
    TraceMetadata out;
    out.model = metadata.text("model");
    out.document = metadata.text("document");
    out.kind = metadata.optional("kind");
    const std::string split = metadata.optional("split");
    const auto known = captured_split(split);
    if (!known) metadata.wrong("split", split, "train, valid, test or test_other_model");
    out.split = *known;
    out.num_layers = metadata.whole("num_layers");
    if (out.num_layers == 0 || out.num_layers > most_layers)
        metadata.wrong("num_layers", metadata.text("num_layers"), fmt::format("from 1 to {}", most_layers));
    out.prompt_len = metadata.whole("prompt_len");
    out.softmax_scale = metadata.above_zero("softmax_scale");
    read_layers(file, metadata, out);
    return out;
}

} // namespace evictlab
