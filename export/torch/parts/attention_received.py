# SPDX-License-Identifier: MIT
def attention_received(layer: Layer, entropy: bool = False) -> Tensor:
    """Sum of the attention a to each token over all queries, a being the mean over its KV head's query heads.

    With `entropy` the sum of -a ln a, which gives the other one by the way. Summed up over blocks in EXACT.
    """
    name = "attention_entropy" if entropy else "attention_received"
    if name not in layer.known:
        batch, kv_heads, tokens, _ = layer.keys.shape
        group = layer.queries(slice(0, tokens)).shape[1] // kv_heads
        sums = torch.zeros(2 if entropy else 1, batch, kv_heads, tokens, dtype=EXACT, device=layer.keys.device)
        rows = block_rows(layer, kv_heads * group)
        for first in range(0, tokens, rows):
            last, seen = min(tokens, first + rows), max(0, first + 1 - layer.window) if layer.window > 0 else 0
            attention = attention_between(layer, first, last, seen)
            if not entropy:
                sums[0, :, :, seen:last] += attention.flatten(2, 3).sum(dim=2) / group
                continue
            mean = attention.mean(dim=2)
            sums[0, :, :, seen:last] += mean.sum(dim=2)
            sums[1, :, :, seen:last] += torch.special.entr(functional.threshold_(mean, 1e-10, 0.0)).sum(dim=2)
        layer.known["attention_received"] = sums[0]
        if entropy:
            layer.known["attention_entropy"] = sums[1]
    found: Tensor = layer.known[name]
    return found
