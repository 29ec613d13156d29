# SPDX-License-Identifier: MIT
def column_layer_mean(layer: Layer, column: Tensor) -> Tensor:
    """The column's mean over all heads and tokens of the layer."""
    shape = layer.keys.shape[:3]
    return column.expand(shape).mean(dim=(1, 2), keepdim=True).expand(shape)
