# SPDX-License-Identifier: MIT
def column_cumulative_attn(layer: Layer) -> Tensor:
    """Sum of the attention to the token over all queries."""
    return attention_received(layer)
