# SPDX-License-Identifier: MIT
def column_key_norm(layer: Layer) -> Tensor:
    """L2 norm of the token's key."""
    return layer.keys.to(EXACT).norm(dim=-1)
