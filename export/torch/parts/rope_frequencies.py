def rope_frequencies(layer: Layer) -> tuple[Tensor, float]:
    """Radians a position of each pair of channels, and the factor on cosines: of the model's, those of this layer."""
    rotary, cos = layer.module.rotary_emb, layer.kwargs["position_embeddings"][0][0].to(EXACT)
    closest = None
    for name, buffer in rotary.named_buffers():
        if not name.endswith("inv_freq") or 2 * buffer.numel() != cos.shape[-1]:
            continue
        frequencies = buffer.flatten().to(EXACT)
        factor = float(getattr(rotary, name.replace("inv_freq", "attention_scaling"), cos[0, 0]))
        angles = layer.positions[:, None] * frequencies
        difference = float((angles.cos() * factor - cos[:, : len(frequencies)]).abs().max())
        if difference < 0.02 and (closest is None or difference < closest[0]):  # 0.02: of cosines in bfloat16
            closest = difference, frequencies, factor
    if closest is None:
        raise ValueError(f"layer {layer.module.layer_idx} does not use RoPE in its half-split form")
    return closest[1:]
