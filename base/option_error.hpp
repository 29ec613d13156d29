// Wrong use of one option, whatever it is set by: a field in a program, a flag at the command line.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

#include "base/error.hpp"

namespace evictlab {

/// what() is the option's name and what is wrong with it: "seq_len is 3, but must be from 4 to 16384". The evictlab
/// command names its flag instead, which is the same with hyphens.
struct OptionError : UsageError {
    OptionError(const std::string& of, const std::string& what_is_wrong)
        : UsageError(of + " " + what_is_wrong), option(of), problem(what_is_wrong) {}
    std::string option, problem;
};

} // namespace evictlab
