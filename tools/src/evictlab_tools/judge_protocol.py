"""Requests to a judge, checked (protocol evictlab-judge/1, which docs/verdict.md defines)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.shapes import Budgets, Shape, shape_of_json

PROTOCOLS = ("evictlab-judge/1", "evictlab-verdict/1")  # the same, by the name that it had before
SPLITS = ("train", "valid")  # a search must not see test documents
MOST_PARALLEL = 65536  # what an introduction may say


@dataclass(frozen=True)
class JudgeRequest:
    """What a request asks: a figure for each document and retention."""

    id: Any
    scorer: str
    documents: list[str]
    retentions: list[float]
    # These are optional in a request, of judges that introduce themselves with them:
    shape: Shape = field(default_factory=Shape)
    keep: tuple[int, ...] = ()  # numbers of tokens, whose names the retentions are
    gradients: bool = False  # asked for in place of figures, by what else the request says (docs/tuning.md)

    @property
    def budgets(self) -> Budgets:
        return Budgets(tuple(self.retentions), self.keep)


def _retentions(request: dict[str, Any]) -> list[float]:
    given = request.get("retentions")
    if not isinstance(given, list) or not given:
        raise ToolError('"retentions" is not a list of numbers, as [0.1, 0.25]')
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ToolError(f'"retentions" has {json.dumps(value)}; a retention is above 0 and at most 1')
    return [float(value) for value in given]


def _keep(request: dict[str, Any], retentions: list[float]) -> tuple[int, ...]:
    given = request.get("keep", [])
    if not isinstance(given, list) or ("keep" in request and len(given) != len(retentions)):
        raise ToolError('"keep" is not a list of as many numbers of tokens as "retentions" has names for')
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ToolError(f'"keep" has {json.dumps(value)}, but must have whole numbers above 0')
    return tuple(given)


def judge_request(request: dict[str, Any], served: Container[str]) -> JudgeRequest:
    """ToolError where it is none, or asks about documents that are not served."""
    if request.get("id") is None:
        raise ToolError('the request has no "id"')
    scorer, names = request.get("scorer"), request.get("documents")
    if not isinstance(scorer, str) or not scorer:
        raise ToolError('"scorer" is not a text')
    if not isinstance(names, list) or not names:
        raise ToolError('"documents" is not a list of names')
    for name in names:
        if not isinstance(name, str) or name not in served:
            raise ToolError(
                f"no document {json.dumps(name)} is served; the first line lists those that are, of the splits "
                f"{' and '.join(SPLITS)}"
            )
    shape = shape_of_json(request["shape"]) if "shape" in request else Shape()
    retentions = _retentions(request)
    gradients = "gradients" in request
    if gradients and not isinstance(request["gradients"], dict):
        raise ToolError('"gradients" is no object')
    return JudgeRequest(request["id"], scorer, names, retentions, shape, _keep(request, retentions), gradients)
