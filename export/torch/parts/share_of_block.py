# SPDX-License-Identifier: MIT
def share_of_block(values: Tensor, window: int) -> Tensor:
    """Each value over the sum of those of its block of `window` tokens; the value itself where that is 0."""
    if window == 0:
        return values
    sums = functional.pad(values, (0, -values.shape[-1] % window)).unflatten(-1, (-1, window)).sum(dim=-1)
    return divide(values, sums.repeat_interleave(window, dim=-1)[..., : values.shape[-1]])
