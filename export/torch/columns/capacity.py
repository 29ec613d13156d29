# SPDX-License-Identifier: MIT
@once
def column_capacity(layer: Layer, tau: int = 5, future: int = 512, sinks: int = 4) -> Tensor:
    """Leverage of the token's value, each weighed by exp(tau cosine) of its key and the mean query to come (CAPKV).

    Mean over the KV head's query heads; 0 at the sinks.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    found = torch.zeros(batch, kv_heads, tokens, dtype=EXACT, device=layer.keys.device)
    if tokens <= sinks:
        return found
    rope = found_rope(layer)
    cos, sin = mean_rotation(layer, torch.full((1,), future, device=layer.keys.device), future)
    inner = torch.arange(sinks, tokens, device=layer.keys.device)
    queries = queries_before_rope(layer, inner).mean(dim=2, dtype=EXACT)
    a, b = queries.view(batch, kv_heads, -1, dim).chunk(2, dim=-1)
    queries = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    keys, values = rope.ordered(layer.keys[:, :, sinks:]).to(EXACT), layer.values[:, :, sinks:].to(EXACT)
    cosines = functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).transpose(-1, -2)
    weights = (tau * (cosines.clamp(-1.0, 1.0) - cosines.amax(dim=-1, keepdim=True).clamp(-1.0, 1.0))).exp()
    ones = torch.eye(values.shape[-1], dtype=EXACT, device=values.device)
    for head in range(weights.shape[2]):
        weight = weights[:, :, head, :, None]
        spanned = ones + values.transpose(-1, -2) @ (values * (weight + 1e-6))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(spanned))
        found[:, :, sinks:] += (weight * (values @ inverse) * values).sum(dim=-1)
    return found / weights.shape[2]
