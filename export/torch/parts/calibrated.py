# SPDX-License-Identifier: MIT
def calibrated(layer: Layer, name: str, *shape: int) -> Tensor:
    """A tensor of the calibration, which must be of this model, and the very file that the press was made with."""
    held_layers(layer)
    if name not in CALIBRATION or CALIBRATION[name].shape != shape:
        found = list(CALIBRATION[name].shape) if name in CALIBRATION else "none"
        what = f"the calibration {CALIBRATION_FILE} must have {name} of {list(shape)}, but has {found}"
        raise layer.refuse(what, "one of this model works")
    return CALIBRATION[name].to(layer.keys.device, EXACT)
