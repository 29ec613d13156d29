# SPDX-License-Identifier: MIT
def held_layers(layer: Layer) -> list[int]:
    """Of the calibration, which is read here."""
    if not CALIBRATION:
        data = Path(CALIBRATION_FILE).read_bytes()
        if sha256(data).hexdigest() != CALIBRATION_SHA256:
            raise Refused(f"{CALIBRATION_FILE}: not the calibration that this press was made with; export it again")
        CALIBRATION.update(load_safetensors(data))
    held = sorted(int(name.split(".")[1]) for name in CALIBRATION if name.endswith(".query_axis"))
    layers = layer.module.config.num_hidden_layers
    if layers != CALIBRATION_LAYERS:
        raise Refused(f"{CALIBRATION_FILE}: a calibration of {CALIBRATION_LAYERS} layers, but the model has {layers}")
    if layer.module.layer_idx not in held:
        raise layer.refuse(f"the calibration {CALIBRATION_FILE} lacks the layer; it holds {held}", "others work")
    return held
