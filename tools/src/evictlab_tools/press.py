"""EvictlabPress: any Evictlab scorer as a press of NVIDIA's kvpress, in any model that kvpress supports.

    from evictlab_tools.press import EvictlabPress
    press = EvictlabPress(compression_ratio=0.5, scorer="snapkv@kvpress")
    with press(model):
        model(input_ids, past_key_values=cache)

Needs kvpress: pip install 'evictlab-tools[kvpress]'.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kvpress import ScorerPress
from kvpress.utils import get_prerope_query_states
from numpy.typing import NDArray
from torch import Tensor

from evictlab_tools.capture import wov_l1
from evictlab_tools.checks import find_rope, rotate
from evictlab_tools.errors import ToolError
from evictlab_tools.library import ALL_QUERIES, Kept, Lab, LayerInput, Scorer


@dataclass
class EvictlabPress(ScorerPress):  # type: ignore[misc]
    """Keeps what the scorer keeps, its layer and head budgets included.

    Where heads keep different numbers of tokens nothing is removed: the evicted keys are masked in the attention, as
    kvpress's own AdaKVPress does it. score() lets presses that wrap a ScorerPress use the scorer.
    """

    compression_ratio: float = 0.0
    scorer: str = "snapkv@kvpress"
    plugin_dirs: tuple[Path, ...] = ()
    _scorer: Scorer = field(init=False, repr=False)
    _num_layers: int | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._scorer = Lab(self.plugin_dirs).open(self.scorer)
        if self._scorer.needs.token_type:
            raise ToolError(f"scorer '{self.scorer}' needs token types, which a press is not told")

    def post_init_from_model(self, model: Any) -> None:
        self._num_layers = int(model.config.get_text_config().num_hidden_layers)

    def score(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> Tensor:
        scores = [kept.scores[0] for kept in self._keep(module, hidden_states, keys, values, kwargs)]
        return torch.from_numpy(np.stack(scores)).to(keys.device)

    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        if self.compression_ratio == 0:
            return keys, values
        masks = [kept.mask[0] for kept in self._keep(module, hidden_states, keys, values, kwargs)]
        mask = torch.from_numpy(np.stack(masks)).to(keys.device)  # [batch][H_kv][n]
        counts = mask.sum(-1)
        if int(counts.min()) != int(counts.max()):
            module.masked_key_indices = (~mask).nonzero(as_tuple=True)
            return keys, values
        places = mask.nonzero()[:, 2].reshape(*mask.shape[:2], -1, 1)
        places = places.expand(-1, -1, -1, keys.shape[-1])
        return keys.gather(2, places).contiguous(), values.gather(2, places).contiguous()

    def _keep(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, kwargs: dict[str, Any]
    ) -> list[Kept]:
        """Of each sequence of the batch."""
        if self._num_layers is None:
            raise ToolError("use the press on a model: `with press(model): ...`")
        tokens, needs = keys.shape[2], self._scorer.needs
        first = tokens - (tokens if needs.queries == ALL_QUERIES else min(tokens, needs.queries))
        cos, sin = kwargs["position_embeddings"]
        queries = None
        if needs.queries > 0:
            before = get_prerope_query_states(module, hidden_states[:, first:])
            queries = _floats(rotate(before, cos[:, None, first:], sin[:, None, first:]))
        rope = find_rope(module.rotary_emb, module.layer_idx, cos[0].float(), sin[0].float(), keys.shape[-1])
        found = []
        for sequence in range(keys.shape[0]):
            layer = LayerInput(
                layer=module.layer_idx,
                num_layers=self._num_layers,
                query_heads=module.config.num_attention_heads,
                q=None if queries is None else queries[sequence],
                k=_floats(keys)[sequence],
                v=_floats(values)[sequence],
                first_query=first,
                rope_inv_freq=rope.inv_freq.cpu().numpy(),
                rope_scale=rope.scale,
                softmax_scale=float(module.scaling),
                sliding_window=int(getattr(module, "sliding_window", None) or 0),
                wov_norm=wov_l1(_tensor(module.o_proj.weight), _tensor(values[sequence]))
                if needs.may_use_wov_norm
                else None,
            )
            found.append(self._scorer.keep(layer, [self.compression_ratio]))
        return found


def _tensor(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu()


def _floats(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = _tensor(tensor).numpy()
    return array
