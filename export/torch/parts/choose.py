# SPDX-License-Identifier: MIT
def choose(condition: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """a where the condition holds, else b."""
    return torch.where(condition, exactly(a, condition.device), exactly(b, condition.device))
