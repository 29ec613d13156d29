# SPDX-License-Identifier: MIT
@once
def column_non_causal_attn(layer: Layer, chunk: int = 256, first: int = 0, last: int = 0) -> Tensor:
    """Attention to the token from all queries of its chunk, by q·k without a scale, summed (NonCausalAttn).

    Mean over the KV head's query heads; 0 at the ends. The last chunk is filled up with vectors of zeros, which have the
    logit 0 as keys and attend evenly as queries.
    """
    batch, kv_heads, tokens, dim = layer.keys.shape
    received = torch.zeros(batch, kv_heads, tokens, dtype=EXACT, device=layer.keys.device)
    for begin in range(first, tokens - last, chunk):
        end = min(begin + chunk, tokens - last)
        missing = chunk - (end - begin)
        queries = layer.queries(slice(begin, end)).float().reshape(batch, kv_heads, -1, dim)
        keys = functional.pad(layer.keys[:, :, begin:end].float(), (0, 0, 0, missing))
        attention = (queries @ keys.transpose(-1, -2)).softmax(dim=-1)[..., : end - begin]
        group = attention.shape[2] // (end - begin)
        received[:, :, begin:end] = attention.sum(dim=2, dtype=EXACT) / group + missing / chunk
    return received
