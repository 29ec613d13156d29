# SPDX-License-Identifier: MIT
def logarithm(a: Tensor) -> Tensor:
    """ln a, of the smallest normal number where a is below it."""
    return a.clamp_min(torch.finfo(EXACT).tiny).log()
