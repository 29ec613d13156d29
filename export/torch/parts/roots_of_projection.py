# SPDX-License-Identifier: MIT
def roots_of_projection(layer: Layer, group: int) -> Tensor:
    """Matrices R with |x R| = |W_o x| for each query head, [H_kv, group, d, d]: as W_o does, in a head's own size."""
    dim = layer.values.shape[-1]
    heads = layer.projection().detach().to(EXACT).unflatten(1, (-1, group, dim)).permute(1, 2, 3, 0)
    squares, axes = torch.linalg.eigh(heads @ heads.transpose(-1, -2))
    return axes * squares.clamp_min(0).sqrt()[..., None, :]
