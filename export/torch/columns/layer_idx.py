# SPDX-License-Identifier: MIT
def column_layer_idx(layer: Layer) -> Tensor:
    """The layer, from 0."""
    return layer.number(layer.module.layer_idx)
