# SPDX-License-Identifier: MIT
@once
def column_expected_attn(
    layer: Layer, future: int = 512, sinks: int = 4, mean: bool = False, by_dim: bool = False
) -> Tensor:
    """Attention that the next queries are expected to give (ExpectedAttention), 0 at the sinks.

    Softmax of s k.mu + s^2 k' Sigma k/2, s being the softmax scale, of the mean and covariance of the queries before
    RoPE, turned by the mean rotation of the `future` next positions; mean over the KV head's query heads. With a sliding
    window, of those of these positions that see the token, whose share counts. In EXACT, for these logits are large.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    expected = torch.zeros(batch, kv_heads, tokens, dtype=EXACT, device=layer.keys.device)
    if tokens <= sinks:
        return expected
    counts = torch.full((1,), future, device=layer.keys.device)
    if layer.window > 0:
        age = torch.arange(tokens - sinks, 0, -1, device=layer.keys.device)  # at the next position
        counts = (layer.window - age).clamp(0, future)
    cos, sin = mean_rotation(layer, counts, future)
    rope, scale = found_rope(layer), dim**-0.5 if by_dim else layer.scale
    queries = queries_before_rope(layer, torch.arange(sinks, tokens, device=layer.keys.device))
    a, b = rope.ordered(layer.keys[:, :, sinks:]).to(EXACT).chunk(2, dim=-1)
    keys = torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)  # turned back, instead of the queries on
    centre = queries.mean(dim=2, dtype=EXACT)
    logits = centre.view(batch, kv_heads, -1, dim) @ keys.transpose(-1, -2) * scale  # [B, H_kv, group, n - sinks]
    if not mean:
        centred = queries - centre[:, :, None]
        covariance = (centred.transpose(-1, -2) @ centred / queries.shape[2]).view(batch, kv_heads, -1, dim, dim)
        for head in range(covariance.shape[2]):
            logits[:, :, head] += ((keys @ covariance[:, :, head]) * keys).sum(dim=-1) * (scale**2 / 2)
    logits += (counts.to(EXACT) / future).log()
    expected[:, :, sinks:] = logits.softmax(dim=-1).nan_to_num(0.0).mean(dim=2)
    return expected
