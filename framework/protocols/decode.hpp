// The protocol `decode`: a cache of fixed capacity. After the prompt it is cut to the capacity, then every continuation
// token enters it, and it is cut back when the schedule says. Evicted tokens never return; statistics are only over
// what is cached, with attention renormalised over it. SPDX-License-Identifier: MIT
#pragma once
#include "framework/protocols/protocol.hpp"

namespace evictlab {

ProtocolInfo describe_decode();

} // namespace evictlab
