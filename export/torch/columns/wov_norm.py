# SPDX-License-Identifier: MIT
@once
def column_wov_norm(layer: Layer) -> Tensor:
    """L1 norm of the token's value behind the output projection, mean over the query heads of its KV head."""
    values = layer.values.float()
    projection = layer.projection().float()  # [hidden, H_q * d]
    group = projection.shape[1] // values.shape[-1] // values.shape[1]
    norms = torch.zeros(values.shape[:3], dtype=EXACT, device=values.device)
    for head, weight in enumerate(projection.split(values.shape[-1], dim=1)):
        norms[:, head // group] += torch.linalg.vector_norm(values[:, head // group] @ weight.T, ord=1, dim=-1)
    return norms / group
