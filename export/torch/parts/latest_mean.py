# SPDX-License-Identifier: MIT
def latest_mean(layer: Layer, window: int) -> Tensor:
    """Mean of the attention of the last queries over them and their KV head's query heads: [B, H_kv, n]."""
    return latest_attention(layer, window).flatten(2, 3).mean(dim=2).to(EXACT)
