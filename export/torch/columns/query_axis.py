# SPDX-License-Identifier: MIT
def column_query_axis(layer: Layer) -> Tensor:
    """Product of the key with the direction in which the queries of its KV head usually point (Q-Filters)."""
    keys = found_rope(layer).ordered(layer.keys).to(EXACT)
    axis = calibrated(layer, f"layers.{layer.module.layer_idx}.query_axis", keys.shape[1], keys.shape[-1])
    return -(keys @ axis[:, :, None])[..., 0]
