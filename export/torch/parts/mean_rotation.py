# SPDX-License-Identifier: MIT
def mean_rotation(layer: Layer, counts: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """RoPE's cosines and sines, each [.., d/2]: means over the first `counts` positions (up to `most`) behind the prompt."""
    rope, counts = found_rope(layer), counts.clamp_min(1)
    steps = torch.arange(most, device=counts.device, dtype=EXACT)
    angles = (layer.start + layer.tokens + steps)[:, None] * rope.frequencies
    cos, sin = (part.cumsum(dim=0)[counts - 1] * rope.factor / counts[:, None] for part in (angles.cos(), angles.sin()))
    return cos, sin
