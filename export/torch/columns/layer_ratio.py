# SPDX-License-Identifier: MIT
def column_layer_ratio(layer: Layer) -> Tensor:
    """The layer's number, from 0, as a share of the model's layers."""
    return layer.number(layer.module.layer_idx / layer.module.config.num_hidden_layers)
