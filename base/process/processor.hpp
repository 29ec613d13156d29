// Which machine this is, for measurements that hold for it alone. SPDX-License-Identifier: MIT
#pragma once
#include <string>

namespace evictlab {

/// The processor as the system names it, as "AMD EPYC 7B13"; its architecture where there is no name.
std::string processor_name();

} // namespace evictlab
