# SPDX-License-Identifier: MIT
def queries_before_rope(layer: Layer, where: Tensor) -> Tensor:
    """Those of the tokens at these places, turned back, with their channels in RoPE's order: [B, H_q, m, d]."""
    rope = found_rope(layer)
    queries = layer.queries(slice(0, layer.tokens)).index_select(2, where)
    a, b = rope.ordered(queries).float().chunk(2, dim=-1)
    angles = (layer.start + where).to(EXACT)[:, None] * rope.frequencies  # in EXACT: positions are large
    cos, sin = ((part / rope.factor).float() for part in (angles.cos(), angles.sin()))
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)
