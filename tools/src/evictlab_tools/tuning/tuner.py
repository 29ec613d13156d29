"""Rounds of tuning: all train documents say where to go, some of them how far, and valid documents whether to.

The gradient goes through the model (through_model.py) to what is kept, through the boundary of what is kept
(boundary.py) to scores, and through these to a formula's constants and to terms that it does not have yet
(directions.py).
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from evictlab_tools.library import USUAL
from evictlab_tools.models import ModelSource
from evictlab_tools.progress import Progress
from evictlab_tools.shapes import Shape
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.place import Place
from evictlab_tools.tuning.pull import SMALLEST
from evictlab_tools.tuning.step import Readings, steepest
from evictlab_tools.tuning.through_model import ATTENTION
from evictlab_tools.verdict.judge import Judge

T = TypeVar("T")
LENGTHS = (0.1, 0.2, 0.4, 0.8)  # of the steps that are tried
LONGEST = 12.8  # while the longest so far is the best one, one of twice its length is tried, up to this


def judge_of(source: ModelSource, *, sliding_layers: bool, threads: int, shape: Shape = USUAL) -> Judge:
    """A judge whose documents can be tuned by."""
    through = replace(source, load=lambda _attention: source.load(ATTENTION))
    return Judge(through, sliding_layers=sliding_layers, threads=threads, shape=shape)


@dataclass(frozen=True)
class Settings:
    retentions: tuple[float, ...]
    weights: tuple[float, ...]  # of the retentions' logarithms of the divergence
    terms: tuple[str, ...]  # that may come in
    grow: int  # how many of them, or of constants' and terms' changes with the layer, a round may take
    tried: int = 32  # train documents by which the length of a step is chosen
    seed: int = 1
    read: int | None = None  # train documents a round, the next ones each time, beside what was read; None: all, anew


@dataclass(frozen=True)
class Round:
    """What a round found: logarithms of KL divergences [valid document][retention], of what was and of what is new."""

    point: Point
    before: Doubles
    after: Doubles
    better: bool


@dataclass
class Tuner:
    """`train` and `valid` are documents' names; of `parts` of the latter, places by name, is told apart, too."""

    place: Place
    train: Sequence[str]
    valid: Sequence[str]
    settings: Settings
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    _readings: Readings = field(default_factory=Readings)
    _read_at: str = ""  # the formula at which they were last added to
    _judged: dict[tuple[str, str], Doubles] = field(default_factory=dict)  # by formula and document

    def round(self, start: Point, number: int) -> Round:
        """`number` is of the noise's draws. Without valid documents what the train documents chose is better."""
        directions = start.directions
        self._read(start, number)
        field = self._readings.field(self.settings.weights)
        step = steepest(field, directions.taken(start.position), self.settings.grow)
        found = directions.at(self._along(start, step, f"round {number}: lengths"))
        before, after = self._verdicts((start.formula, found.formula), self.valid, f"round {number}: valid documents")
        moved = not np.array_equal(found.position, start.position)
        better = moved and (not self.valid or self._figure(after) < self._figure(before))
        return Round(found, before, after, better)

    def _read(self, start: Point, number: int) -> None:
        """All train documents alone; or the next few, beside what was read before."""
        many, begin = len(self.train), 0
        if self.settings.read is None:
            self._readings = Readings()
        else:
            many, begin = min(self.settings.read, many), (number - 1) * self.settings.read
            if self._read_at != start.formula:
                self._readings.fade()
        self._read_at = start.formula
        chosen = [(begin + at) % len(self.train) for at in range(many)]
        asked = [(self.train[at], (self.settings.seed, number, at)) for at in chosen]
        answers = self.place.pulls(start, self.settings.retentions, asked)
        self._readings.add(self._told(f"round {number}: gradients", answers, len(asked)))

    def _along(self, start: Point, step: Doubles, label: str) -> Doubles:
        """Of positions along a step, and the start, the one that the documents that choose its length like best."""
        directions = start.directions
        documents = self.train[: self.settings.tried]
        lengths = [0.0, *LENGTHS]
        while True:
            positions = [directions.moved(start.position, length * step) for length in lengths]
            formulas = [directions.formula(position) for position in positions]
            figures = [self._figure(logs) for logs in self._verdicts(formulas, documents, label)]
            best = int(np.argmin(figures))
            if lengths[-1] >= LONGEST or best < len(lengths) - 1:
                return positions[best]
            lengths.append(2 * lengths[-1])

    @staticmethod
    def _told(label: str, answers: Iterator[T], total: int) -> list[T]:
        found = []
        with Progress(label, total, unit="document") as progress:
            for answer in answers:
                found.append(answer)
                progress.advance()
        return found

    def _figure(self, logs: Doubles) -> float:
        return float(np.average(logs.mean(0), weights=self.settings.weights))

    def _verdicts(self, formulas: Sequence[str], documents: Sequence[str], label: str) -> list[Doubles]:
        """The judge's logarithms of divergences [document][retention] of each formula."""
        unlike = list(dict.fromkeys(formulas))
        asked = [(name, [one for one in unlike if (one, name) not in self._judged]) for name in documents]
        answers = self._told(label, self.place.divergences(asked, self.settings.retentions), len(asked))
        for (name, missing), found in zip(asked, answers, strict=True):
            for formula, kl in zip(missing, found, strict=True):
                self._judged[formula, name] = np.log(np.maximum(kl, SMALLEST))
        shape = (len(documents), len(self.settings.retentions))
        return [np.array([self._judged[each, name] for name in documents]).reshape(shape) for each in formulas]
