"""A recorded layer of a document, up to the end of its prompt, as PyTorch scores it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from evictlab_tools.attention import LayerAttention
from evictlab_tools.scoring.layer import Layer


def recorded_layer(
    attention: LayerAttention, index: int, num_layers: int, prompt: int, projection: Callable[[], Tensor]
) -> Layer:
    """On the device where its keys are."""
    return Layer(
        index,
        num_layers,
        attention.q.shape[0],
        attention.k[None, :, :prompt],
        attention.v[None, :, :prompt],
        attention.scale,
        attention.rope,
        attention.window,
        asked=lambda first, last: attention.q[:, first:last][None],
        output_projection=projection,
    )
