def column_replayed_attn(
    layer: Layer, window: int = 64, count: int = 128, all: bool = False, rms: bool = False
) -> Tensor:
    """Attention that past queries would give if they were asked again at the positions that follow.

    Of the last `window` queries (or all) at most `count`, evenly spaced, each turned by RoPE from its own position to
    one behind the prompt; mean, or quadratic mean, over them and the KV head's query heads.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    window = tokens if all else min(window, tokens)
    count = min(count, window)
    steps = torch.arange(count, device=layer.keys.device)
    asked = tokens - window + steps * window // count
    queries = get_prerope_query_states(layer.module, layer.hidden_states[:, asked]).to(EXACT)
    frequencies, factor = rope_frequencies(layer)
    angles = (tokens + steps).to(EXACT)[:, None] * torch.cat((frequencies, frequencies))
    queries = (queries * angles.cos() + rotate_half(queries) * angles.sin()) * factor
    queries = queries.reshape(batch, kv_heads, -1, dim)  # the group's heads, one after another
    attention = (queries @ layer.keys.to(EXACT).transpose(-1, -2) * layer.module.scaling).softmax(dim=-1)
    return attention.square().mean(dim=2).sqrt() if rms else attention.mean(dim=2)
