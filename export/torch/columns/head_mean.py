# SPDX-License-Identifier: MIT
def column_head_mean(layer: Layer, column: Tensor) -> Tensor:
    """The column's mean over the tokens of each head."""
    shape = layer.keys.shape[:3]
    return column.expand(shape).mean(dim=2, keepdim=True).expand(shape)
