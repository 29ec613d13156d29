def attention_between(layer: Layer, first: int, last: int) -> Tensor:
    """Attention of the queries at positions first .. last - 1, in float32: [B, H_kv, group, last - first, n]."""
    queries = get_prerope_query_states(layer.module, layer.hidden_states[:, first:last])
    cos, sin = (part[:, None, first:last] for part in layer.kwargs["position_embeddings"])
    queries = (queries * cos + rotate_half(queries) * sin).float()
    batch, kv_heads, tokens, dim = layer.keys.shape
    queries = queries.reshape(batch, kv_heads, -1, dim)  # the group's heads, one after another
    logits = queries @ layer.keys.float().transpose(-1, -2) * layer.module.scaling
    age = layer.positions[first:last, None] - layer.positions
    hidden = age < 0
    if window := getattr(layer.module, "sliding_window", None):
        hidden |= age >= window
    logits = logits.view(batch, kv_heads, -1, last - first, tokens)
    return logits.masked_fill_(hidden, float("-inf")).softmax(dim=-1)
