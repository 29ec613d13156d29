# SPDX-License-Identifier: MIT
def column_value_share(layer: Layer, window: int = 16) -> Tensor:
    """Squared L2 norm of the token's value over the sum of those in its block of positions (CUR)."""
    return share_of_block(layer.in_order(layer.values).to(EXACT).square().sum(dim=-1), window)
