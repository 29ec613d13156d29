# SPDX-License-Identifier: MIT
def block_rows(layer: Layer, heads: int) -> int:
    """Queries at a time, of so many heads, that attend to all tokens."""
    values = min(BLOCK_VALUES, CACHED_VALUES) if layer.keys.device.type == "cpu" else BLOCK_VALUES
    return max(1, values // (layer.keys.shape[0] * heads * layer.tokens))
