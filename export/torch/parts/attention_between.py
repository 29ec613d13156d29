# SPDX-License-Identifier: MIT
def attention_between(layer: Layer, first: int, last: int, seen: int = 0) -> Tensor:
    """Attention of the queries at positions first .. last - 1, in float32: [B, H_kv, group, last - first, n - seen].

    To the tokens from `seen` on, which are all that these queries see; of those behind the last query none is there.
    """
    batch, kv_heads, _, dim = layer.keys.shape
    queries = layer.queries(slice(first, last)).float().mul(layer.scale).reshape(batch, kv_heads, -1, dim)
    logits = queries @ single_keys(layer)[:, :, seen:last].transpose(-1, -2)  # the group's heads in turn
    logits = logits.view(batch, kv_heads, -1, last - first, last - seen)
    places = torch.arange(seen, last, device=layer.keys.device)
    hidden = 0 if layer.window > 0 else first - seen  # what comes before is seen by all
    mask = visible(places[first - seen :], places[hidden:], layer.window).logical_not_()
    logits[..., hidden:] += torch.zeros(mask.shape, device=mask.device).masked_fill_(mask, float("-inf"))
    return logits.softmax(dim=-1)
