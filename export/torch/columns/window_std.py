# SPDX-License-Identifier: MIT
def column_window_std(layer: Layer, window: int = 64) -> Tensor:
    """Standard deviation of the attention to the token over the last queries of all query heads of its KV head."""
    return latest_attention(layer, window).to(EXACT).std(dim=(2, 3), correction=0)
