# SPDX-License-Identifier: MIT
def column_position(layer: Layer) -> Tensor:
    """The token's place in the sequence, from 0."""
    return layer.positions
