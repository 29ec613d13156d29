# SPDX-License-Identifier: MIT
def column_lag_value(layer: Layer, lag: int = 128, sinks: int = 4) -> Tensor:
    """How the token's value spreads over its channels by the range of the partition that follows (LagKV)."""
    return spread_by_next_partition(layer.in_order(layer.values), lag, sinks)
