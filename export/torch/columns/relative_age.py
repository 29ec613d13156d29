# SPDX-License-Identifier: MIT
def column_relative_age(layer: Layer) -> Tensor:
    """The token's age in queries as a share of the sequence, in [0, 1)."""
    return (layer.tokens - 1 - layer.positions) / layer.tokens
