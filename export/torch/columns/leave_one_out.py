# SPDX-License-Identifier: MIT
@once
def column_leave_one_out(layer: Layer, window: int = 32, wo: bool = False) -> Tensor:
    """Squared change of a query head's output if the token alone were gone (DropKV), with `wo` behind W_o.

    Summed over the last queries, mean over the KV head's query heads. Weights are not divided by their sum at first: what
    the others sum up to is exact where one has nearly all.
    """
    logits = latest_logits(layer, window)  # [B, H_kv, group, window, n]
    weights = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    total = weights.sum(dim=-1, keepdim=True)
    odds = weights / (total - weights + 1e-6 * total)
    change = torch.zeros(layer.keys.shape[:3], dtype=EXACT, device=layer.keys.device)
    roots = roots_of_projection(layer, weights.shape[2]) if wo else None
    for head in range(weights.shape[2]):
        values = layer.values.to(EXACT)
        if roots is not None:
            values = values @ roots[:, head]
        for query in range(weights.shape[3]):
            output = (weights[:, :, head, query, None] / total[:, :, head, query, None]) @ values
            change += odds[:, :, head, query].square() * (values - output).square().sum(dim=-1)
    return change / weights.shape[2]
