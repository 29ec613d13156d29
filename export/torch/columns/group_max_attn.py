# SPDX-License-Identifier: MIT
def column_group_max_attn(layer: Layer, window: int = 8, pool: int = 1) -> Tensor:
    """Softmax, over the tokens before the window alone, of the highest q·k of the KV head's query heads (R-KV).

    Mean over the last queries, the highest of the nearest tokens; 0 in the window.
    """
    received = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    if layer.tokens <= window:
        return received
    highest = latest_logits(layer, window)[..., :-window].amax(dim=2)
    mean = highest.softmax(dim=-1).nan_to_num(0.0).mean(dim=2)
    received[..., :-window] = functional.max_pool1d(mean, pool, stride=1, padding=pool // 2)
    return received
