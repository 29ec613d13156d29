# Writes OUTPUT, a header with the commit of the sources in SOURCE, where it would change: at each build, for commits come
# without a new configuration. Empty where SOURCE is no checkout of its own.
# SPDX-License-Identifier: MIT
set(commit "")
if(EXISTS ${SOURCE}/.git)
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(commit "")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
// SPDX-License-Identifier: MIT
#pragma once

namespace evictlab::cli {

inline constexpr const char* commit = "@commit@"; ///< of the sources; "" where nobody knows

} // namespace evictlab::cli
]] @ONLY)
