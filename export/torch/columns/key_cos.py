# SPDX-License-Identifier: MIT
def column_key_cos(layer: Layer) -> Tensor:
    """Cosine of the token's key and the mean of the keys' directions."""
    keys = layer.keys.to(EXACT)
    anchor = functional.normalize(keys, dim=-1, eps=1e-12).mean(dim=2, keepdim=True)
    return functional.cosine_similarity(keys, anchor, dim=-1, eps=1e-8)
