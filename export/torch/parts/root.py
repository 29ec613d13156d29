# SPDX-License-Identifier: MIT
def root(a: Tensor) -> Tensor:
    """The square root, and 0 where a is negative."""
    return torch.where(a < 0, 0.0, a.sqrt())
