# SPDX-License-Identifier: MIT
@once
def attention_received(layer: Layer) -> Tensor:
    """Sum of the attention to each token over all queries."""
    total = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    for block in attention_blocks(layer):
        total += block.sum(dim=2)
    return total
