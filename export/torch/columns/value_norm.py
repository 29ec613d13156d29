# SPDX-License-Identifier: MIT
def column_value_norm(layer: Layer) -> Tensor:
    """L2 norm of the token's value."""
    return layer.values.to(EXACT).norm(dim=-1)
