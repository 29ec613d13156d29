# SPDX-License-Identifier: MIT
def divide(a: Tensor | float, b: Tensor | float) -> Tensor:
    """a / b, and 0 where b is 0."""
    a, b = like_each_other(a, b)
    return torch.where(b == 0, 0.0, a / b)
