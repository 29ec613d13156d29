# SPDX-License-Identifier: MIT
def column_window_max(layer: Layer, window: int = 64) -> Tensor:
    """Largest attention to the token in the last queries of any query head of its KV head."""
    return latest_attention(layer, window).amax(dim=(2, 3)).to(EXACT)
