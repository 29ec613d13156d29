def column_expected_attn(layer: Layer, future: int = 512, sinks: int = 4, mean: bool = False) -> Tensor:
    """Attention that the next queries are expected to give (ExpectedAttention), 0 at the sinks.

    Softmax of k.mu/sqrt(d) + k' Sigma k/(2d), of the mean and covariance of the queries before RoPE, turned by the mean
    rotation of the `future` next positions; mean over the KV head's query heads.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    expected = torch.zeros(batch, kv_heads, tokens, dtype=EXACT, device=layer.keys.device)
    if tokens <= sinks:
        return expected
    order, rotation = found_rope(layer).order, mean_rotation(layer, future)
    queries = layer.queries(slice(sinks, tokens), turned=False)[..., order].to(EXACT)
    keys = layer.keys[:, :, sinks:, order].to(EXACT)
    centre = queries.mean(dim=2)
    directions = (centre @ rotation.T).view(batch, kv_heads, -1, dim)
    logits = directions @ keys.transpose(-1, -2) / dim**0.5  # [B, H_kv, group, n - sinks]
    if not mean:
        centred = queries - centre[:, :, None]
        covariance = rotation @ (centred.transpose(-1, -2) @ centred / queries.shape[2]) @ rotation.T
        covariance = covariance.view(batch, kv_heads, -1, dim, dim)
        for head in range(covariance.shape[2]):
            logits[:, :, head] += ((keys @ covariance[:, :, head]) * keys).sum(dim=-1) / (2 * dim)
    expected[:, :, sinks:] = logits.softmax(dim=-1).mean(dim=2)
    return expected
