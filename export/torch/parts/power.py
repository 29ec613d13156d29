# SPDX-License-Identifier: MIT
def power(a: Tensor | float, b: Tensor | float) -> Tensor:
    """a^b, |a|^b where a is negative and b not an integer, and 0 where it would be 1 / 0; NaN where either is."""
    a, b = like_each_other(a, b)
    size = torch.where((a < 0) & b.isfinite() & (b != b.trunc()), -a, a)
    found = torch.where((a == 0) & (b < 0), 0.0, size.pow(b))
    return torch.where(a.isnan() | b.isnan(), a + b, found)
