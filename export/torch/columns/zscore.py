# SPDX-License-Identifier: MIT
def column_zscore(layer: Layer, column: Tensor) -> Tensor:
    """The column's value, less its mean over the layer, over its standard deviation there."""
    values = column.expand(layer.keys.shape[:3])
    spread = values.flatten(1).std(dim=1, correction=1).clamp_min(1e-6)  # NaN of a single value
    deviation = spread.nan_to_num(1.0)[:, None, None]
    return (values - values.mean(dim=(1, 2), keepdim=True)) / deviation
