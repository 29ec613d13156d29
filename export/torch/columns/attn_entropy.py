# SPDX-License-Identifier: MIT
def column_attn_entropy(layer: Layer) -> Tensor:
    """Sum of -a ln a of the attention a to the token over all queries."""
    return attention_received(layer, entropy=True)
