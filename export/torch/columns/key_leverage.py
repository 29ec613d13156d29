# SPDX-License-Identifier: MIT
@once
def column_key_leverage(layer: Layer, first: int = 0, last: int = 0) -> Tensor:
    """Statistical leverage of the token's key before RoPE among those of its head (LeverageScore); 0 at the ends."""
    tokens = layer.prompt_tokens
    leverage = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    if tokens <= first + last:
        return leverage
    inner = slice(first, tokens - last)
    rope = found_rope(layer)
    angles = (layer.start + layer.positions[inner])[:, None] * -rope.frequencies
    keys = turn(rope.ordered(layer.keys[:, :, inner]).to(EXACT), angles, 1 / rope.factor)
    keys = keys - keys.mean(dim=2, keepdim=True)
    gram = keys.transpose(-1, -2) @ keys + 0.01 * torch.eye(keys.shape[-1], dtype=EXACT, device=keys.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    leverage[:, :, inner] = ((keys @ inverse) * keys).sum(dim=-1).clamp_min(0.0)
    return leverage
