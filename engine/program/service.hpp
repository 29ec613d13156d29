// The judge as a service: requests and answers, one JSON object a line (protocol evictlab-judge/1, docs/verdict.md).
// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <string>

#include "engine/program/judge.hpp"

namespace evictlab::engine {

struct ServiceOptions {
    std::string judge;       ///< its name in the first line: all that figures follow from
    std::size_t workers = 1; ///< documents that are judged at once
};

/// Introduces itself on the file descriptor `out`, answers what is asked on `in` and returns at its end, when all that
/// was asked is answered. Where nobody reads any more, it stops after the documents in hand. Throws Error where it
/// cannot write.
void serve(Judge& judge, const Lab& lab, const ServiceOptions& options, int in, int out);

} // namespace evictlab::engine
