# SPDX-License-Identifier: MIT
def column_last_attn(layer: Layer, all: bool = False) -> Tensor:
    """Attention of the last query to the token, mean over its KV head's query heads or over all of the layer."""
    attention = latest_attention(layer, 1)[:, :, :, 0].mean(dim=2, dtype=EXACT)
    return attention.mean(dim=1, keepdim=True) if all else attention
