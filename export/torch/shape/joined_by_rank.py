# SPDX-License-Identifier: MIT
def joined_by_rank(rows: Tensor) -> Tensor:
    """[B, rows, n] -> [B, 1, n]: the mean of each row's ranks from 0 to 1, equals sharing the mean of theirs."""
    rows = rows.contiguous()
    ordered = rows.sort(dim=-1).values
    below = torch.searchsorted(ordered, rows)
    not_above = torch.searchsorted(ordered, rows, right=True)
    ranks = (below + not_above - 1).to(EXACT) / 2 / max(1, rows.shape[2] - 1)
    return joined_by_mean(torch.where(rows.isinf(), rows, ranks))
