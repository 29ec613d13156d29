# SPDX-License-Identifier: MIT
def spread_by_next_partition(vectors: Tensor, lag: int, sinks: int) -> Tensor:
    """Softmax, over each partition's tokens, of the deviation over channels of (x - low) / (high - low).

    low and high are the next partition's; 0 for the sinks, the last whole partition and what follows it.
    """
    batch, heads, tokens, dim = vectors.shape
    spread = torch.zeros(batch, heads, tokens, dtype=EXACT, device=vectors.device)
    partitions = (tokens - sinks) // lag
    if partitions < 2:
        return spread
    last = sinks + partitions * lag
    parts = vectors[:, :, sinks:last].to(EXACT).reshape(batch, heads, partitions, lag, dim)
    low = parts.amin(dim=3, keepdim=True)[:, :, 1:]
    extent = parts.amax(dim=3, keepdim=True)[:, :, 1:] - low
    scaled = torch.where(extent > 0, (parts[:, :, :-1] - low) / extent, 0.0)
    spread[:, :, sinks : last - lag] = scaled.std(dim=-1).softmax(dim=-1).flatten(2)
    return spread
