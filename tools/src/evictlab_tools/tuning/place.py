"""Where documents are read to tune by: here (Here), or by a process that is asked (asked.py)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evictlab_tools.library import Lab
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.budgets import UNIFORM, scorer_within
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.pull import Pull, pull_of
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import DocumentRun, Judge

Seed = tuple[int, ...]


class Place(Protocol):
    """Answers come in the order asked. Documents are named."""

    def pulls(self, point: Point, retentions: Sequence[float], asked: Sequence[tuple[str, Seed]]) -> Iterator[Pull]:
        """What documents say at the point; each with the seed of its noise."""

    def divergences(
        self, asked: Sequence[tuple[str, Sequence[str]]], retentions: Sequence[float]
    ) -> Iterator[list[Doubles]]:
        """Of documents, each with formulas: KL divergences [formula][retention]."""


def read_run(judge: Judge, document: TokenDocument) -> DocumentRun:
    run = judge.read(document).trimmed()
    run.model.requires_grad_(False)
    return run


@dataclass
class Here:
    """In this process."""

    judge: Judge
    lab: Lab
    documents: Mapping[str, TokenDocument]
    budgets: str = UNIFORM

    def pulls(self, point: Point, retentions: Sequence[float], asked: Sequence[tuple[str, Seed]]) -> Iterator[Pull]:
        for name, seed in asked:
            yield pull_of(read_run(self.judge, self.documents[name]), point, retentions, seed, self.budgets)

    def divergences(
        self, asked: Sequence[tuple[str, Sequence[str]]], retentions: Sequence[float]
    ) -> Iterator[list[Doubles]]:
        removed = [1.0 - retention for retention in retentions]
        for name, formulas in asked:
            run = read_run(self.judge, self.documents[name]) if formulas else None
            found = []
            for formula in formulas:
                assert run is not None
                kept = run.keep(self.lab.open(scorer_within(self.budgets, formula)), removed)
                found.append(np.array([figures.kl for figures in run.measure(kept)]))
            yield found
