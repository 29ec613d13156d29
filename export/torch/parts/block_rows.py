# SPDX-License-Identifier: MIT
def block_rows(layer: Layer, heads: int) -> int:
    """Queries at a time, of so many heads, that attend to all tokens."""
    row = layer.keys.shape[0] * heads * layer.tokens
    values = BLOCK_VALUES
    if layer.keys.device.type == "cpu":
        values = min(values, max(CACHED_VALUES, LEAST_ROWS * row))
    return max(1, values // row)
