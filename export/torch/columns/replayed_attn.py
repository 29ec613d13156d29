# SPDX-License-Identifier: MIT
def column_replayed_attn(
    layer: Layer, window: int = 64, count: int = 128, all: bool = False, rms: bool = False
) -> Tensor:
    """Attention that past queries would give if they were asked again at the positions that follow.

    Of the last `window` queries (or all) at most `count`, evenly spaced, each turned by RoPE from its own position to
    one behind the prompt; mean, or quadratic mean, over them and the KV head's query heads. With a sliding window they
    attend to what they see there.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    window = tokens if all else min(window, tokens)
    count = min(count, window)
    steps = torch.arange(count, device=layer.keys.device)
    asked = tokens - window + steps * window // count
    rope = found_rope(layer)
    queries = rope.ordered(layer.queries(asked, turned=False)).to(EXACT)
    angles = (layer.start + tokens + steps).to(EXACT)[:, None] * rope.frequencies
    queries = turn(queries, angles, rope.factor).reshape(batch, kv_heads, -1, dim)  # the group's heads in turn
    keys = rope.ordered(layer.keys).to(EXACT)
    logits = queries @ keys.transpose(-1, -2) * layer.scale
    seen = visible(tokens + steps, torch.arange(tokens, device=keys.device), layer.window)
    seen = seen.repeat(logits.shape[2] // count, 1)  # of the group's heads
    attention = logits.masked_fill(~seen, float("-inf")).softmax(dim=-1).nan_to_num(0.0)
    return attention.square().mean(dim=2).sqrt() if rms else attention.mean(dim=2)
