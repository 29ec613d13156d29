"""Gradients as a proposer of `evictlab evolve`: steps from the champion along what the documents read so far say."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab
from evictlab_tools.propose.serve import Proposals
from evictlab_tools.tuning.constants import nodes_of
from evictlab_tools.tuning.directions import Directions
from evictlab_tools.tuning.pull import Pull, pull_of
from evictlab_tools.tuning.step import steepest
from evictlab_tools.tuning.tuner import LENGTHS, Settings, read_run
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Judge

FEWER = 4  # by so many fewer a step grows where its formula is too large


class GradientProposer:
    """Reads documents for as long as a request may take, and goes on with the next request while the champion stays.

    Once it has read all, it reads them again with other noise.
    """

    def __init__(
        self, judge: Judge, lab: Lab, documents: Sequence[TokenDocument], settings: Settings, seconds: float
    ) -> None:
        self._judge, self._lab, self._documents, self._settings = judge, lab, documents, settings
        self._seconds = seconds
        self._champion = ""
        self._directions: Directions | None = None
        self._pulls: list[Pull] = []

    def propose(self, request: Mapping[str, Any]) -> Proposals:
        champion, wanted, most = _asked(request)
        if self._directions is None or self._champion != champion:
            self._champion, self._pulls = champion, []
            self._directions = Directions(self._lab, champion, self._settings.terms)
        self._read(self._directions)
        grow = self._settings.grow
        while True:
            formulas = self._formulas(self._directions, grow, wanted)
            if grow <= 0 or all(nodes_of(formula) <= most for formula in formulas):
                break
            grow = max(0, grow - FEWER)
        why = f"the model's own gradient over {min(len(self._pulls), len(self._documents))} train documents, step "
        return [
            {"formula": formula, "hypothesis": f"{why}{length:g}"}
            for formula, length in zip(formulas, LENGTHS, strict=False)
        ]

    def _read(self, directions: Directions) -> None:
        begin = time.monotonic()
        slowest = 0.0
        while slowest == 0.0 or time.monotonic() - begin + slowest < self._seconds:
            started, count = time.monotonic(), len(self._pulls)
            run = read_run(self._judge, self._documents[count % len(self._documents)])
            self._pulls.append(pull_of(run, directions, self._settings.retentions, (self._settings.seed, count)))
            slowest = max(slowest, time.monotonic() - started)

    def _formulas(self, directions: Directions, grow: int, wanted: int) -> list[str]:
        step = steepest(self._pulls, self._settings.weights, directions.moving, grow)
        return [directions.along(step, length) for length in LENGTHS[:wanted]]


def _asked(request: Mapping[str, Any]) -> tuple[str, int, int]:
    """The champion's formula, how many are wanted, and how many nodes each may have."""
    try:
        champion, wanted, most = request["champions"][-1]["formula"], request["wanted"], request["max_nodes"]
    except (KeyError, IndexError, TypeError):
        raise ToolError('the request has no "champions" with formulas, "wanted" and "max_nodes"') from None
    if not isinstance(champion, str) or not isinstance(wanted, int) or not isinstance(most, int) or wanted < 1:
        raise ToolError('"formula" of the champion is a text, "wanted" and "max_nodes" are numbers above 0')
    return champion, wanted, most
