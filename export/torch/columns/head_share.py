# SPDX-License-Identifier: MIT
def column_head_share(layer: Layer, column: Tensor) -> Tensor:
    """The column's value over the sum of those of all KV heads at the same token (DefensiveKV)."""
    values = column.expand(layer.keys.shape[:3])
    return divide(values, values.sum(dim=1, keepdim=True))
