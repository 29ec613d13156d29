def rotate_half(x: Tensor) -> Tensor:
    """RoPE's other half: channels are paired (t, t + d/2)."""
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)
