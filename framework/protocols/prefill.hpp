// The protocol `prefill`: a scorer sees a captured layer once, at the end of the prompt; what it keeps is judged on the
// continuation's queries. As NVIDIA's kvpress evicts. SPDX-License-Identifier: MIT
#pragma once
#include "framework/protocols/protocol.hpp"

namespace evictlab {

ProtocolInfo describe_prefill();

} // namespace evictlab
