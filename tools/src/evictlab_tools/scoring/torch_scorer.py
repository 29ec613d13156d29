"""A scorer whose columns are computed by PyTorch, on the device where queries, keys and values are.

A formula is evaluated there as well. What a plugin or a wrapper makes of its columns, one number a head and token, and
every budget and shape, is libevictlab's in any case.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.library import LayerColumns, Memory, Scorer
from evictlab_tools.scoring.forms import form

# By nature no column of queries, keys and values: given beside them.
GIVEN_COLUMNS = {
    "token_type": "token_type",
    "reconstruction_attn": "plain",
    "reconstruction_attn:plus": "plus",
    "reconstruction_attn:grad": "grad",
}
MOST_COLUMNS = 64  # that the memory of a layer holds


def _refusal(scorer: Scorer, why: str) -> UsageError:
    return UsageError(
        f"scorer '{scorer.text}': {why}, so it cannot be scored by PyTorch; --scoring native and auto work"
    )


class TorchScorer:
    """UsageError, which says why, where PyTorch cannot give what the scorer reads. Threads may share it."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        if scorer.needs.may_use_wov_norm and not scorer.needs.wov_norm:
            raise _refusal(scorer, "its plugin takes queries, keys and values themselves, not columns of them")
        self._computed = [column for column in scorer.columns if column not in GIVEN_COLUMNS]
        self._columns = self._form(" + ".join(self._computed)) if self._computed else None
        self._formula = None
        plain = not (scorer.needs.uneven or scorer.needs.budgeted or scorer.needs.model_budgets)
        if scorer.formula is not None and plain and len(self._computed) == len(scorer.columns):
            self._formula = self._form(scorer.formula)

    def _form(self, formula: str) -> ModuleType:
        learned = self.scorer.calibration if self.scorer.needs.calibration else None
        try:
            return form(self.scorer.library, formula, learned)
        except ToolError as error:
            raise _refusal(self.scorer, str(error)) from None

    @property
    def on_device(self) -> bool:
        """Whether scores() is there: nothing leaves the device then."""
        return self._formula is not None

    def scores(self, layer: Any) -> Tensor:
        """Of a formula, [B, H_kv, n], higher = keep; of a scoring.layer.Layer or a press's."""
        assert self._formula is not None
        with torch.no_grad():
            found: Tensor = self._formula.scores(layer)
        return found

    def columns(
        self, layer: Any, given: Sequence[Mapping[str, NDArray[Any]]] = (), memories: Sequence[Memory] = ()
    ) -> list[LayerColumns]:
        """Of each sequence, for Scorer.score, .keep and Model.add.

        `given`, one a sequence: token types [n] and second passes [H_kv][n]. `memories`, one a sequence, hold columns
        from call to call.
        """
        batch, kv_heads, tokens, dim = layer.keys.shape
        config = layer.module.config
        found = []
        for sequence in range(batch):
            memory = memories[sequence] if memories else self.scorer.new_memory()
            numbers = (layer.module.layer_idx, config.num_hidden_layers, config.num_attention_heads)
            found.append(LayerColumns(*numbers, kv_heads, tokens, dim, memory))
            for column, name in GIVEN_COLUMNS.items():
                if column in self.scorer.columns:
                    values = np.asarray(given[sequence][name], np.float64)
                    memory.put(found[-1], column, np.broadcast_to(values, (kv_heads, tokens)))
        missing = [name for name in self._computed if not all(name in each.memory.put_names for each in found)]
        if self._columns is not None and missing:
            with torch.no_grad():
                for name, column in self._columns.COLUMNS.items():
                    if name in missing:
                        values = column(layer).expand(batch, kv_heads, tokens).double().cpu().numpy()
                        for sequence, each in enumerate(found):
                            each.memory.put(each, name, values[sequence])
        return found
