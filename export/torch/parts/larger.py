# SPDX-License-Identifier: MIT
def larger(a: Tensor | float, b: Tensor | float) -> Tensor:
    return torch.maximum(*like_each_other(a, b))
