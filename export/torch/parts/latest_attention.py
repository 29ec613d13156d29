# SPDX-License-Identifier: MIT
@once
def latest_attention(layer: Layer, window: int) -> Tensor:
    """Attention of the last queries, in float32: [B, H_kv, group, window, n]."""
    return attention_between(layer, max(0, layer.tokens - window), layer.tokens)
