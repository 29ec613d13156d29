// SPDX-License-Identifier: MIT
#include "tests/support/process.hpp"

#include <sys/wait.h>

#include <cstdlib>

#include "tests/support/temporary_folder.hpp"

namespace evictlab::test {

Outcome shell(const std::string& command, const std::string& where) {
    ::setenv("XDG_STATE_HOME", EVICTLAB_BUILD_DIR "/tests/state-home", 0); // what users keep is not the tests' to fill
    ::setenv("SOURCE_DATE_EPOCH", "1700000000", 0);                        // equal runs give equal results
    const TemporaryFolder folder;
    const std::string out = (folder / "out").string(), err = (folder / "err").string();
    const std::string go = where.empty() ? std::string() : "cd '" + where + "'; ";
    const std::string script = go + "evictlab() { '" EVICTLAB_BINARY "' \"$@\"; }; { " + command + "\n} >'" + out +
                               "' 2>'" + err + "' </dev/null";
    const int status = std::system(script.c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, bytes_of(out), bytes_of(err)};
}

} // namespace evictlab::test
