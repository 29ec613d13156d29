# SPDX-License-Identifier: MIT
def column_recent_attn(layer: Layer) -> Tensor:
    """Sum of the attention to the token over the last 33 queries."""
    return latest_mean(layer, 33) * min(33, layer.tokens)
