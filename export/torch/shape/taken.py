# SPDX-License-Identifier: MIT
def taken(vectors: Tensor, stays: Tensor) -> Tensor:
    """[B, H_kv, n, d] of the tokens that stay, as many in every head."""
    return vectors[stays].view(*vectors.shape[:2], -1, vectors.shape[3])
