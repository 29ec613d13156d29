# SPDX-License-Identifier: MIT
def column_key_share(layer: Layer, window: int = 16) -> Tensor:
    """Squared L2 norm of the token's key over the sum of those in its block of positions (CUR)."""
    return share_of_block(layer.in_order(layer.keys).to(EXACT).square().sum(dim=-1), window)
