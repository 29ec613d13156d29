# SPDX-License-Identifier: MIT
def latest_logits(layer: Layer, window: int) -> Tensor:
    """Scaled q·k of the last queries, -inf where they do not see: [B, H_kv, group, window, n]."""
    batch, kv_heads, tokens, dim = layer.keys.shape
    first = max(0, tokens - window)
    queries = layer.queries(slice(first, tokens)).to(EXACT).reshape(batch, kv_heads, -1, dim)
    logits = (queries @ layer.keys.to(EXACT).transpose(-1, -2) * layer.scale).view(
        batch, kv_heads, -1, tokens - first, tokens
    )
    places = torch.arange(tokens, device=layer.keys.device)
    return logits.masked_fill(~visible(places[first:], places, layer.window), float("-inf"))
