# SPDX-License-Identifier: MIT
@once
def single_keys(layer: Layer) -> Tensor:
    """The keys in float32, in which attention is computed."""
    return layer.keys.float()
