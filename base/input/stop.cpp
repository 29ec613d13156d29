// SPDX-License-Identifier: MIT
#include "base/input/stop.hpp"

namespace evictlab::input {
namespace {

std::atomic<bool> stop{false};
std::atomic<int> holds{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "signal handlers use them");

} // namespace

std::atomic<bool>& stop_requested() { return stop; }

HoldStop::HoldStop() { ++holds; }
HoldStop::~HoldStop() { --holds; }
bool HoldStop::any() { return holds > 0; }

} // namespace evictlab::input
