# SPDX-License-Identifier: MIT
def column_observed_attn(layer: Layer) -> Tensor:
    """Mean of the attention to the token over the queries that could see it."""
    queries = layer.tokens - layer.positions
    return attention_received(layer) / (queries.clamp_max(layer.window) if layer.window > 0 else queries)
