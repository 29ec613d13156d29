def mean_rotation(layer: Layer, future: int) -> Tensor:
    """Mean of RoPE's rotations at the `future` positions that follow the prompt, of channels in RoPE's order: [d, d]."""
    rope = found_rope(layer)
    positions = layer.start + layer.tokens + torch.arange(future, device=rope.frequencies.device, dtype=EXACT)
    angles = positions[:, None] * rope.frequencies
    cos, sin = angles.cos().mean(dim=0) * rope.factor, angles.sin().mean(dim=0) * rope.factor
    turned = torch.cat((torch.diag(cos), torch.diag(sin)))
    crossed = torch.cat((torch.diag(-sin), torch.diag(cos)))
    return torch.cat((turned, crossed), dim=1)
