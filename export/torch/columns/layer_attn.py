# SPDX-License-Identifier: MIT
def column_layer_attn(layer: Layer, window: int = 64, ahead: int = 1) -> Tensor:
    """Attention of the last queries (0: of all), mean over them and the layer's query heads.

    The highest of the token and the `ahead` - 1 that follow it, which are fewer at the end (OpenVINO GenAI).
    """
    if window == 0:
        mean = attention_received(layer).mean(dim=1, keepdim=True) / layer.tokens
    else:
        mean = latest_mean(layer, window).mean(dim=1, keepdim=True)
    return functional.max_pool1d(functional.pad(mean, (0, ahead - 1)), ahead, stride=1)
