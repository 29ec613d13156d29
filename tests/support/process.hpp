// Running a command as a user types it.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace evictlab::test {

struct Outcome {
    int code = 0; ///< the exit code; 128 and the signal where one ended it
    std::string out, err;
};

/// By /bin/sh, with standard input closed and `evictlab` as the built program, in the folder `where` ("": this one).
Outcome shell(const std::string& command, const std::string& where = {});

} // namespace evictlab::test
