# SPDX-License-Identifier: MIT
def column_defensive_attn(layer: Layer, window: int = 32, pool: int = 5) -> Tensor:
    """Largest attention to the token's neighbourhood from any of the last queries of its KV head (DefensiveKV).

    Each query's attention before the window is averaged over the nearest tokens, keeping its sum; 0 in the window.
    """
    largest = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    if layer.tokens <= window:
        return largest
    attention = latest_attention(layer, window)[..., :-window].to(EXACT)
    pooled = functional.avg_pool1d(attention.flatten(0, 3)[:, None], pool, stride=1, padding=pool // 2)
    pooled = pooled.view(attention.shape)
    pooled = pooled * divide(attention.sum(dim=-1, keepdim=True), pooled.sum(dim=-1, keepdim=True))
    largest[..., :-window] = pooled.amax(dim=(2, 3))
    return largest
