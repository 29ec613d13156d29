// Who made a result, and when: what JSON that the program writes says in its field "made".
// SPDX-License-Identifier: MIT
#pragma once
#include <nlohmann/json.hpp>

namespace evictlab::cli {

/// The result with {"version": "1.0.0", "date": "2026-11-30T14:00:00Z", "commit": "a2399026d1f0"} as its field "made".
/// The date is UTC, and SOURCE_DATE_EPOCH's where that is set, so that equal runs give equal bytes; the commit is that
/// of the sources that the program was built of, and absent where nobody knows it.
nlohmann::ordered_json with_made(nlohmann::ordered_json result);

} // namespace evictlab::cli
