# SPDX-License-Identifier: MIT
def decided_mean(scores: Tensor, dim: int, count: Tensor | int) -> Tensor:
    """Of so many scores along a dimension: one that says keep decides, then one that says drop."""
    largest = torch.finfo(EXACT).max
    mean = scores.where(scores.isfinite(), 0.0).sum(dim).clamp(-largest, largest) / count
    mean = torch.where(scores.isneginf().any(dim), float("-inf"), mean)
    return torch.where(scores.isposinf().any(dim), float("inf"), mean)
