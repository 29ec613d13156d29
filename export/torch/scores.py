# SPDX-License-Identifier: MIT
"""How a formula scores the tokens of a layer, on the layer's device: what evictlab-tools runs."""

from __future__ import annotations

@IMPORTS@

@GIVEN@

@CONSTANTS@


@FUNCTIONS@
COLUMNS: dict[str, Callable[[Layer], Tensor]] = {
@NAMED@
}


def scores(layer: Layer) -> Tensor:
    """[B, H_kv, n], higher = keep."""
@COLUMNS@
    scores = @SCORES@
    return torch.where(scores.isnan(), DROP, scores).expand(layer.keys.shape[:3])
