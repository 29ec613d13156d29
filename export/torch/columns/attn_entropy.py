# SPDX-License-Identifier: MIT
def column_attn_entropy(layer: Layer) -> Tensor:
    """Sum of -a ln a of the attention a to the token over all queries."""
    total = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    for block in attention_blocks(layer):
        a = torch.where(block > 1e-10, block, 1.0)
        total -= (a * a.log()).sum(dim=2)
    return total
