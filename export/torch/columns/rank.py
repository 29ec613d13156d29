# SPDX-License-Identifier: MIT
def column_rank(layer: Layer, column: Tensor) -> Tensor:
    """Place of the column's value among all of the layer, from 0 to 1; equals share the mean of their places."""
    shape = layer.keys.shape[:3]
    values = column.expand(shape).reshape(shape[0], -1).contiguous()
    ordered = values.sort(dim=-1).values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    places = (below + not_above - 1).to(EXACT) / 2 / max(1, values.shape[1] - 1)
    return places.reshape(shape)
