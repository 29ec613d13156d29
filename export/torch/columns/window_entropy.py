# SPDX-License-Identifier: MIT
def column_window_entropy(layer: Layer, window: int = 64) -> Tensor:
    """The token's part of the entropy of the last queries' attention, mean over queries and query heads (CAKE)."""
    latest = latest_attention(layer, window).flatten(2, 3)
    return -(latest * (latest + 1e-10).log()).mean(dim=2).to(EXACT)
