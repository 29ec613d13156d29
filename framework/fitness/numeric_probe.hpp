// Whether two machines round alike: figures of a fitness have the same bits on both only if they do.
// SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace evictlab {

/// 16 hexadecimal digits over the bits of what the functions that scores and columns are made of give at some thousand
/// fixed places, computed here.
std::string numeric_probe();

} // namespace evictlab
