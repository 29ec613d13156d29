def mean_rotation(layer: Layer, future: int) -> Tensor:
    """Mean of RoPE's rotations at the `future` positions that follow the prompt: [d, d]."""
    frequencies, factor = rope_frequencies(layer)
    positions = layer.tokens + torch.arange(future, device=frequencies.device, dtype=EXACT)
    angles = positions[:, None] * frequencies
    cos, sin = angles.cos().mean(dim=0) * factor, angles.sin().mean(dim=0) * factor
    turned = torch.cat((torch.diag(cos), torch.diag(sin)))
    crossed = torch.cat((torch.diag(-sin), torch.diag(cos)))
    return torch.cat((turned, crossed), dim=1)
