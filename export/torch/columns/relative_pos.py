# SPDX-License-Identifier: MIT
def column_relative_pos(layer: Layer) -> Tensor:
    """The last query's position minus the token's: its age in queries, from 0."""
    return layer.tokens - 1 - layer.positions
