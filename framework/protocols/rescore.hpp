// The protocol `rescore`, the seed's: everything is ranked again at every query. SPDX-License-Identifier: MIT
#pragma once
#include "framework/protocols/protocol.hpp"

namespace evictlab {

ProtocolInfo describe_rescore();

} // namespace evictlab
