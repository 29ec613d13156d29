# SPDX-License-Identifier: MIT
@once
def column_tri_score(
    layer: Layer, future: int = 65536, peak: bool = False, mean: bool = False, raw: bool = False
) -> Tensor:
    """What a head's mean query gives to the key 1, 2, 4, ... positions later (TriAttention)."""
    rope = found_rope(layer)
    keys = rope.ordered(layer.keys).to(EXACT)
    batch, kv_heads, tokens, dim = keys.shape
    name, heads = f"layers.{layer.module.layer_idx}", layer.module.config.num_attention_heads
    centre = calibrated(layer, f"{name}.query_mean", heads, dim)
    spread = calibrated(layer, f"{name}.query_abs_mean", heads, dim // 2) - torch.hypot(*centre.chunk(2, dim=-1))
    steps = torch.tensor([2**i for i in range(future.bit_length())], dtype=EXACT, device=keys.device)
    turned = turn(centre[:, None], (layer.start + tokens + steps)[:, None] * rope.frequencies, rope.factor)
    if not peak:
        turned = turned.mean(dim=1, keepdim=True)
    of_group = (kv_heads, heads // kv_heads, -1)
    lengths = torch.hypot(*keys.chunk(2, dim=-1))[:, :, None]  # [B, H_kv, 1, n, d/2]
    products = keys[:, :, None] @ turned.view(*of_group, dim).transpose(-1, -2)  # [B, H_kv, group, n, offsets]
    scores = products.amax(dim=-1) + (lengths @ spread.view(*of_group, 1)).squeeze(-1) * rope.factor
    if not raw:
        deviation = scores.std(dim=-1, keepdim=True, unbiased=False).clamp_min(1e-6)
        scores = (scores - scores.mean(dim=-1, keepdim=True)) / deviation
    return scores.mean(dim=2) if mean else scores.amax(dim=2)
