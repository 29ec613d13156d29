# SPDX-License-Identifier: MIT
def attention_blocks(layer: Layer) -> Iterator[Tensor]:
    """Attention of all queries, mean over each KV head's query heads, by blocks of queries: [B, H_kv, block, n]."""
    batch, _, tokens, _ = layer.keys.shape
    rows = max(1, BLOCK_VALUES // (batch * layer.module.config.num_attention_heads * tokens))
    for first in range(0, tokens, rows):
        yield attention_between(layer, first, min(tokens, first + rows)).mean(dim=2, dtype=EXACT)
