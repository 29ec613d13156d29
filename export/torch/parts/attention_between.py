# SPDX-License-Identifier: MIT
def attention_between(layer: Layer, first: int, last: int) -> Tensor:
    """Attention of the queries at positions first .. last - 1, in float32: [B, H_kv, group, last - first, n]."""
    batch, kv_heads, tokens, dim = layer.keys.shape
    queries = layer.queries(slice(first, last)).float().reshape(batch, kv_heads, -1, dim)  # the group's heads in turn
    logits = queries @ layer.keys.float().transpose(-1, -2) * layer.scale
    places = torch.arange(tokens, device=layer.keys.device)
    logits = logits.view(batch, kv_heads, -1, last - first, tokens)
    return logits.masked_fill_(~visible(places[first:last], places, layer.window), float("-inf")).softmax(dim=-1)
