# SPDX-License-Identifier: MIT
def smaller(a: Tensor | float, b: Tensor | float) -> Tensor:
    return torch.minimum(*like_each_other(a, b))
