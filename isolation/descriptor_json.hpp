// A plugin's descriptors as JSON, on their way from a worker to the host.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>
#include <vector>

#include "framework/plugin/descriptor.hpp"

namespace evictlab::isolation {

/// Of all rules of the plugin.
std::string descriptors_to_json(const Plugin& plugin);
/// Throws Error for anything that a plugin may not say of itself: whoever wrote the text is not trusted.
std::vector<Descriptor> descriptors_from_json(const std::string& text);

} // namespace evictlab::isolation
