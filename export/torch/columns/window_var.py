# SPDX-License-Identifier: MIT
def column_window_var(layer: Layer, window: int = 64) -> Tensor:
    """Variance of the attention to the token over a query head's last queries, mean over its KV head's (CAKE)."""
    latest = latest_attention(layer, window).to(EXACT)
    return latest.var(dim=3, correction=1 if latest.shape[3] > 1 else 0).mean(dim=2)
