// SPDX-License-Identifier: MIT
#include "framework/suite/suite.hpp"

#include "base/digest/digest.hpp"

namespace evictlab {

std::string_view to_string(Split split) {
    constexpr BySplit<std::string_view> names{"train", "valid", "test", "test_other_model"};
    return names[static_cast<std::size_t>(split)];
}

Suite::Suite(std::string name, std::string parameters_json, BySplit<std::vector<TracePtr>> splits)
    : name_(std::move(name)), parameters_json_(std::move(parameters_json)),
      hash_("sha256:" + sha256_hex(parameters_json_)), splits_(std::move(splits)) {}

Suite::Suite(std::string name, std::string parameters_json, std::string_view content, CapturedContents captured,
             BySplit<std::vector<TracePtr>> splits)
    : name_(std::move(name)), parameters_json_(std::move(parameters_json)), hash_("sha256:" + sha256_hex(content)),
      splits_(std::move(splits)), captured_(std::move(captured)) {}

} // namespace evictlab
