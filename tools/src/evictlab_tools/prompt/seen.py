"""What every query sees, and in which precision statistics are."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import torch
from torch import Tensor

# Exported presses hold what follows.
EXACT = torch.float64  # of what is summed up or has large angles, and of scores: one number a token and head


def visible(queries: Tensor, keys: Tensor, window: int) -> Tensor:
    """Whether the queries at these positions see the keys at those: [queries, keys]."""
    age = queries[:, None] - keys
    return (age >= 0) & (age < window) if window > 0 else age >= 0
