"""Scores of a function score(q, k, v, ...), which is given what the names of its parameters ask for."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evictlab_tools.attention import LayerAttention
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.spill import until

GIVEN = {
    "q": "[H_q][n][d], as the attention uses it",
    "k": "[H_kv][n][d], likewise",
    "v": "[H_kv][n][d]",
    "layer": "from 0",
    "num_layers": "of the model",
    "scale": "of q k, before the softmax",
    "window": "a query's reach, 0 for all",
}


def asked_by(text: str, function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise UsageError(f"scorer '{text}': its parameters cannot be told; wrap it in a function of Python") from None
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return list(GIVEN)
    needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_POSITIONAL]
    unknown = [name for name in needed if name not in GIVEN]
    if unknown:
        there = ", ".join(f"{name} ({what})" for name, what in GIVEN.items())
        raise UsageError(f"scorer '{text}': its parameter {unknown[0]} is none that it can be given; there are {there}")
    return [each.name for each in parameters if each.name in GIVEN]


@torch.no_grad()
def scores_of(
    text: str, function: Callable[..., Any], layer: LayerAttention, number: int, num_layers: int, tokens: int
) -> NDArray[np.float64]:
    """[H_kv][n] of one layer; ToolError where it gives anything else, or fails."""
    asked = asked_by(text, function)
    given: dict[str, Any] = {"layer": number, "num_layers": num_layers, "scale": layer.scale, "window": layer.window}
    given |= {"k": layer.k[:, :tokens].float(), "v": layer.v[:, :tokens].float()}
    if "q" in asked:
        given["q"] = until(layer.q, tokens).float()
    try:
        made = function(**{name: given[name] for name in asked})
        if isinstance(made, torch.Tensor):
            made = made.detach().cpu().double().numpy()
        scores: NDArray[np.float64] = np.asarray(made, np.float64)
    except Exception as error:  # somebody's own code
        raise ToolError(f"'{text}' failed at layer {number}: {type(error).__name__}: {error}") from error
    wanted = (layer.k.shape[0], tokens)
    if scores.shape != wanted:
        raise ToolError(f"'{text}' gave {list(scores.shape)} at layer {number}, not [KV heads][tokens], {list(wanted)}")
    if np.isnan(scores).any():
        head, token = np.argwhere(np.isnan(scores))[0]
        raise ToolError(f"'{text}' gave no number at layer {number}, head {head}, token {token}")
    return scores
