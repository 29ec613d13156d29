# SPDX-License-Identifier: MIT
def joined_by_share(rows: Tensor) -> Tensor:
    """[B, rows, n] -> [B, 1, n]: the mean of each row over the sum of its absolute scores."""
    sizes = rows.abs().where(rows.isfinite(), 0.0)
    unit = torch.ones_like(sizes[..., :1]).masked_fill(sizes.sum(-1, keepdim=True).isinf(), torch.finfo(EXACT).max)
    total = (sizes / unit).sum(-1, keepdim=True)
    return joined_by_mean(rows / unit / torch.where(total == 0, 1.0, total))
