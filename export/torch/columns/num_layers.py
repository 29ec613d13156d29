# SPDX-License-Identifier: MIT
def column_num_layers(layer: Layer) -> Tensor:
    """Layers of the model."""
    return layer.number(layer.module.config.num_hidden_layers)
