# SPDX-License-Identifier: MIT
def column_window_std(layer: Layer, window: int = 64) -> Tensor:
    """Standard deviation of the attention to the token over the last queries of all query heads of its KV head."""
    latest = latest_attention(layer, window).flatten(2, 3)
    return (latest - latest.mean(dim=2, keepdim=True)).square_().mean(dim=2).to(EXACT).sqrt()
