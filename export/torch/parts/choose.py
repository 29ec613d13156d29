# SPDX-License-Identifier: MIT
def choose(condition: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """a where the condition holds, else b."""
    a, b = (torch.as_tensor(x, dtype=EXACT, device=condition.device) for x in (a, b))
    return torch.where(condition, a, b)
