// SPDX-License-Identifier: MIT
#include "framework/capture/safetensors_header.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text/shown.hpp"

namespace evictlab {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<std::string_view, std::size_t>, 15> types{{{"BOOL", 1},
                                                                          {"U8", 1},
                                                                          {"I8", 1},
                                                                          {"F8_E4M3", 1},
                                                                          {"F8_E5M2", 1},
                                                                          {"U16", 2},
                                                                          {"I16", 2},
                                                                          {"F16", 2},
                                                                          {"BF16", 2},
                                                                          {"U32", 4},
                                                                          {"I32", 4},
                                                                          {"F32", 4},
                                                                          {"U64", 8},
                                                                          {"I64", 8},
                                                                          {"F64", 8}}};

constexpr std::size_t most_numbers = 8;         // dimensions of a tensor
constexpr std::size_t most_tensors = 1'000'000; // at about 400 bytes each

/// Takes the events of {"__metadata__": {text: text}, NAME: {"dtype": T, "shape": [..], "data_offsets": [b, e]}}.
class HeaderEvents final : public nlohmann::json_sax<Json> {
public:
    HeaderEvents(SafetensorsHeader& header, const HeaderFailure& on_failure)
        : header_(header), on_failure_(on_failure) {}

    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("true or false"); }
    bool number_integer(number_integer_t value) override { return unexpected(fmt::format("{}", value)); }
    bool number_float(number_float_t, const string_t& text) override { return unexpected(text.substr(0, 40)); }
    bool binary(binary_t&) override { return unexpected("binary data"); }

    bool number_unsigned(number_unsigned_t value) override {
        if (depth_ != 3) return unexpected(fmt::format("{}", value));
        auto& numbers = field_ == "shape" ? tensor_.shape : offsets_;
        if (numbers.size() == most_numbers)
            fail(fmt::format("its field {} has more than {} numbers", text::named(field_), most_numbers));
        numbers.push_back(value);
        return true;
    }

    bool string(string_t& value) override {
        if (depth_ == 2 && in_metadata_) {
            header_.metadata[field_] = value;
        } else if (depth_ == 2 && field_ == "dtype") {
            const auto* const found = std::ranges::find(types, value, [](const auto& type) { return type.first; });
            if (found == types.end())
                fail(
                    fmt::format("its type {} is not known: it must be one of F32, F16, BF16, I8 and the other types of "
                                "safetensors",
                                text::named(value)));
            tensor_.type = static_cast<DType>(found - types.begin());
        } else {
            return unexpected("a text");
        }
        return true;
    }

    bool start_object(std::size_t) override {
        if (depth_ > 1) return unexpected("an object");
        if (++depth_ == 2) {
            in_metadata_ = name_ == "__metadata__";
            fields_.clear();
            tensor_ = {};
            tensor_.name = name_;
            offsets_.clear();
        }
        return true;
    }

    bool key(string_t& key) override {
        if (depth_ == 1) {
            name_ = key;
            if (!names_.insert(key).second) fail("is in the header twice");
            if (names_.size() > most_tensors) on_failure_("", fmt::format("has more than {} tensors", most_tensors));
            return true;
        }
        field_ = key;
        if (!fields_.insert(key).second) fail(fmt::format("has the field {} twice", text::named(key)));
        if (!in_metadata_ && key != "dtype" && key != "shape" && key != "data_offsets")
            fail(fmt::format("has a field {} that safetensors does not know", text::named(key)));
        return true;
    }

    bool end_object() override {
        if (--depth_ == 1 && !std::exchange(in_metadata_, false)) {
            for (const char* field : {"dtype", "shape", "data_offsets"})
                if (!fields_.contains(field)) fail(fmt::format("lacks the field '{}'", field));
            if (offsets_.size() != 2) fail(fmt::format("has {} data_offsets, but must have 2", offsets_.size()));
            tensor_.begin = offsets_[0];
            tensor_.end = offsets_[1];
            header_.tensors.push_back(std::move(tensor_));
        }
        return true;
    }

    bool start_array(std::size_t) override {
        if (depth_ != 2 || in_metadata_ || field_ == "dtype") return unexpected("a list");
        depth_ = 3;
        return true;
    }
    bool end_array() override {
        depth_ = 2;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
        const std::string text = error.what();
        const auto prefix = text.find("] ");
        const std::string reason = prefix == std::string::npos ? text : text.substr(prefix + 2);
        on_failure_("", fmt::format("the header is not JSON at byte {}: {}{}", position, reason.substr(0, 300),
                                    reason.size() > 300 ? "..." : ""));
        return false;
    }

private:
    bool unexpected(std::string_view found) {
        constexpr std::string_view wanted[] = {"an object of tensors", "an object", "", "a whole number from 0"};
        std::string_view want = wanted[depth_];
        if (depth_ == 2) want = in_metadata_ || field_ == "dtype" ? "a text" : "a list of whole numbers";
        fail(fmt::format("{}expected {}, found {}", depth_ < 2 ? "" : fmt::format("field {}: ", text::named(field_)),
                         want, found));
        return false;
    }
    void fail(std::string_view what) const { on_failure_(depth_ == 0 ? "" : name_, what); }

    SafetensorsHeader& header_;
    const HeaderFailure& on_failure_;
    std::size_t depth_ = 0; ///< 1 among tensors, 2 among a tensor's fields, 3 in a list
    bool in_metadata_ = false;
    std::string name_, field_;
    TensorInfo tensor_;
    std::vector<std::size_t> offsets_;
    std::set<std::string, std::less<>> names_, fields_;
};

} // namespace

std::string_view to_string(DType type) { return types[static_cast<std::size_t>(type)].first; }
std::size_t size_of(DType type) { return types[static_cast<std::size_t>(type)].second; }

SafetensorsHeader parse_safetensors_header(std::string_view json, const HeaderFailure& fail) {
    SafetensorsHeader header;
    HeaderEvents events(header, fail);
    Json::sax_parse(json, &events);
    return header;
}

} // namespace evictlab
