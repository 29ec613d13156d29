# SPDX-License-Identifier: MIT
def like_each_other(a: Tensor | float, b: Tensor | float) -> tuple[Tensor, Tensor]:
    """Both as tensors, one of which is a number."""
    device = next(x.device for x in (a, b) if isinstance(x, Tensor))
    return exactly(a, device), exactly(b, device)
