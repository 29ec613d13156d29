"""Gradients as a proposer of `evictlab evolve`: steps from the champion along what the documents read so far say."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab
from evictlab_tools.propose.serve import Proposals
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.constants import nodes_of
from evictlab_tools.tuning.directions import Directions, Point
from evictlab_tools.tuning.place import read_run
from evictlab_tools.tuning.pull import pull_of
from evictlab_tools.tuning.step import Readings, steepest
from evictlab_tools.tuning.tuner import Settings
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Judge

FEWER = 4  # by so many fewer a step grows where its formula is too large
# What is proposed: how long a step, and whether new terms come in.
STEPS = ((0.1, True), (0.2, True), (0.05, True), (0.4, True), (0.2, False))


class GradientProposer:
    """Reads documents for as long as a request may take, in an order that the seed draws, and with the next request the
    ones that follow; once it has read all, it reads them again with other noise. While the champion stays, all that was
    read counts. Where one of its own proposals became champion, what was read before counts by half. A champion of
    another's is mostly its own champion a little changed, and not worth what was read: it goes on from its own for one
    request more, and only begins anew if that leads nowhere.
    """

    def __init__(
        self, judge: Judge, lab: Lab, documents: Sequence[TokenDocument], settings: Settings, seconds: float
    ) -> None:
        self._judge, self._lab, self._documents, self._settings = judge, lab, documents, settings
        self._seconds = seconds
        self._order = np.random.default_rng(settings.seed).permutation(len(documents))
        self._reads = 0
        self._proposed: dict[str, Doubles] = {}  # positions by hypothesis
        self._champion = ""  # its id
        self._overtaken = False  # by another's champion, but goes on from its own
        self._point: Point | None = None
        self._readings = Readings()

    def propose(self, request: Mapping[str, Any]) -> Proposals:
        asked = _asked(request)
        point = self._point = self._at(asked)
        self._read(point)
        field = self._readings.field(self._settings.weights)

        @cache
        def toward(grow: int) -> Doubles:
            return steepest(field, point.directions.taken(point.position), grow)

        steps = {}
        for length, grows in STEPS[: asked.wanted]:
            step = f"step {length:g}" if grows else f"step {length:g} without new terms"
            why = f"the model's own gradient at {self._champion} over {len(self._readings)} readings, {step}"
            steps[why] = _stepped(point, toward, length, self._settings.grow if grows else 0, asked.max_nodes)
        self._proposed.update(steps)
        return [{"formula": point.directions.formula(to), "hypothesis": why} for why, to in steps.items()]

    def _at(self, asked: _Asked) -> Point:
        """Where the champion is. Terms that read more than the run offers do not come in."""
        position = self._proposed.get(asked.hypothesis)
        if self._point is not None and asked.id == self._champion:
            return self._point
        if self._point is not None and position is None and not self._overtaken:
            self._overtaken = True
            return self._point
        self._champion, self._overtaken = asked.id, False
        if self._point is None or position is None:
            self._readings, self._proposed = Readings(), {}
            terms = [one for one in self._settings.terms if asked.columns.issuperset(self._lab.open("=" + one).columns)]
            directions = Directions(self._lab, asked.formula, terms)
            return directions.at(directions.origin)
        self._readings.fade()
        return self._point.directions.at(position)

    def _read(self, point: Point) -> None:
        begin = time.monotonic()
        slowest = 0.0
        while slowest == 0.0 or time.monotonic() - begin + slowest < self._seconds:
            started = time.monotonic()
            run = read_run(self._judge, self._documents[self._order[self._reads % len(self._order)]])
            self._readings.add([pull_of(run, point, self._settings.retentions, (self._settings.seed, self._reads))])
            self._reads += 1
            slowest = max(slowest, time.monotonic() - started)


def _stepped(point: Point, toward: Callable[[int], Doubles], length: float, grow: int, most: int) -> Doubles:
    """The position after a step, with fewer new terms where the formula would have more than `most` nodes."""
    while True:
        position = point.directions.moved(point.position, length * toward(grow))
        if grow <= 0 or nodes_of(point.directions.formula(position)) <= most:
            return position
        grow = max(0, grow - FEWER)


@dataclass(frozen=True)
class _Asked:
    id: str  # the champion's, as its formula and hypothesis
    formula: str
    hypothesis: str  # the proposer's own words where it was its proposal
    wanted: int
    max_nodes: int
    columns: frozenset[str]


def _asked(request: Mapping[str, Any]) -> _Asked:
    try:
        champion, wanted, most = request["champions"][-1], request["wanted"], request["max_nodes"]
        texts = champion["id"], champion["formula"], champion["hypothesis"]
        columns = frozenset(column["name"] for column in request["columns"])
    except (KeyError, IndexError, TypeError):
        raise ToolError(
            'the request has no "champions" with "id", "formula" and "hypothesis", "columns" with names, "wanted" and '
            '"max_nodes"'
        ) from None
    whole = isinstance(wanted, int) and isinstance(most, int) and wanted >= 1
    if not all(isinstance(text, str) for text in texts) or not whole:
        raise ToolError('what the request says of the champion is texts, "wanted" and "max_nodes" are numbers above 0')
    return _Asked(*texts, wanted, most, columns)
