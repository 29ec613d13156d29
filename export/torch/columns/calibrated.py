# SPDX-License-Identifier: MIT
def column_calibrated(layer: Layer, /, row: int = 1, **name: bool) -> Tensor:
    """A number of the layer's KV heads, from constants or a row of a table of the calibration."""
    held = len(held_layers(layer))
    table, heads = next(iter(name)), layer.keys.shape[1]
    if f"constants.{table}" in CALIBRATION:
        values = calibrated(layer, f"constants.{table}", held, heads)
    else:
        values = calibrated(layer, f"tables.{table}", CALIBRATION[f"tables.{table}"].shape[0], held, heads)[row - 1]
    values = values[held_layers(layer).index(layer.module.layer_idx)]
    return values[None, :, None].expand(layer.keys.shape[:3])
