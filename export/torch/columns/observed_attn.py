def column_observed_attn(layer: Layer) -> Tensor:
    """Mean of the attention to the token over the queries that could see it."""
    return attention_received(layer) / (layer.tokens - layer.positions)
