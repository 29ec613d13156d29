# SPDX-License-Identifier: MIT
@once
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
    queries = queries_before_rope(layer, asked).to(EXACT)
    angles = (layer.start + tokens + steps).to(EXACT)[:, None] * rope.frequencies  # in EXACT: positions are large
    queries = turn(queries, angles, rope.factor * layer.scale).float()
    queries = queries.view(batch, kv_heads, -1, count, dim)  # the group's heads in turn
    keys = rope.ordered(single_keys(layer)).transpose(-1, -2)
    total = torch.zeros(batch, kv_heads, tokens, dtype=EXACT, device=keys.device)
    rows = block_rows(layer, kv_heads * queries.shape[2])
    for first in range(0, count, rows):
        logits = queries[:, :, :, first : first + rows].flatten(2, 3) @ keys
        if layer.window > 0:
            seen = visible(tokens + steps[first : first + rows], torch.arange(tokens, device=keys.device), layer.window)
            logits.masked_fill_(~seen.repeat(queries.shape[2], 1), float("-inf"))
        attention = logits.softmax(dim=-1).nan_to_num_(0.0)
        total += (attention.square_() if rms else attention).sum(dim=2)
    mean = total / (queries.shape[2] * count)
    return mean.sqrt() if rms else mean
