# SPDX-License-Identifier: MIT
def mean_of_blocks(scores: Tensor) -> Tensor:
    """[B, rows, n] -> [B, rows, blocks]; the last block's over as many tokens as it has."""
    blocks = functional.pad(scores, (0, -scores.shape[2] % BLOCK)).unflatten(2, (-1, BLOCK))
    first = torch.arange(0, scores.shape[2], BLOCK, device=scores.device)
    return decided_mean(blocks, 3, (scores.shape[2] - first).clamp(max=BLOCK))
