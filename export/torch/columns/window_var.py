# SPDX-License-Identifier: MIT
def column_window_var(layer: Layer, window: int = 64) -> Tensor:
    """Variance of the attention to the token over a query head's last queries, mean over its KV head's (CAKE)."""
    latest = latest_attention(layer, window)
    squares = (latest - latest.mean(dim=3, keepdim=True)).square_().sum(dim=3).mean(dim=2)
    return squares.to(EXACT) / max(1, latest.shape[3] - 1)
