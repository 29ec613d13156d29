# SPDX-License-Identifier: MIT
def column_is_sink(layer: Layer) -> Tensor:
    """1 for the first four tokens, 0 for the others."""
    return (layer.positions < 4).to(EXACT)
