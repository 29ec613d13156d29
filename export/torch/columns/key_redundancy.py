# SPDX-License-Identifier: MIT
@once
def column_key_redundancy(layer: Layer, first: bool = False) -> Tensor:
    """Softmax over the tokens of the mean cosine to all other keys (R-KV).

    Each key leaves out the last one that it resembles by more than 0.5, or token 0 if there is none; with `first` always
    token 0.
    """
    keys = layer.in_order(layer.keys).to(EXACT)
    keys = keys / (keys.norm(dim=-1, keepdim=True) + 1e-8)
    tokens, places = keys.shape[2], torch.arange(keys.shape[2], device=keys.device)
    total = torch.zeros(keys.shape[:3], dtype=EXACT, device=keys.device)
    rows = max(1, BLOCK_VALUES // (keys.shape[0] * keys.shape[1] * tokens))
    for begin in range(0, tokens, rows):
        block = places[begin : begin + rows]
        cosines = keys[:, :, block] @ keys.transpose(-1, -2)
        cosines[..., block - begin, block] = 0.0
        left_out = torch.where((cosines > 0.5) & (not first), places, 0).amax(dim=-1, keepdim=True)
        total += cosines.scatter(-1, left_out, 0.0).sum(dim=2)
    return (total / tokens).softmax(dim=-1)
