# SPDX-License-Identifier: MIT
def best_of_blocks(scores: Tensor) -> Tensor:
    """[B, rows, n] -> [B, rows, blocks]: the best of a block's tokens."""
    missing = -scores.shape[2] % BLOCK
    return functional.pad(scores, (0, missing), value=float("-inf")).unflatten(2, (-1, BLOCK)).amax(3)
