# SPDX-License-Identifier: MIT
def column_recent_attn(layer: Layer) -> Tensor:
    """Sum of the attention to the token over the last 33 queries."""
    return latest_attention(layer, 33).mean(dim=2, dtype=EXACT).sum(dim=2)
