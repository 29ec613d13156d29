# SPDX-License-Identifier: MIT
def column_layer_share(layer: Layer, column: Tensor) -> Tensor:
    """The column's value over the sum of those of all heads and tokens of the layer."""
    values = column.expand(layer.keys.shape[:3])
    return divide(values, values.sum(dim=(1, 2), keepdim=True))
