"""How well each measure predicts which scorers get answers right: rank correlation over scorers, cell by cell."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evictlab_tools.binding import Library
from evictlab_tools.errors import ToolError
from evictlab_tools.files import read_json
from evictlab_tools.tasks.result import Cell, Result
from evictlab_tools.tasks.run import AnswerFigures
from evictlab_tools.verdict.bounds import BOUNDS
from evictlab_tools.verdict.correlate import RANDOM
from evictlab_tools.verdict.result import SCHEMA
from evictlab_tools.verdict.statistics import Estimate, mean, spearman

LEAST_SCORERS = 3
# Higher is better in all: what grows with damage has its sign turned.
OWN: dict[str, Callable[[AnswerFigures], float]] = {
    "KL on the answers' tokens": lambda f: -f.kl,
    "likelihood of the answers": lambda f: -f.delta_nll,
    "kept of the needles": lambda f: f.spans.get("needle", float("nan")),
    "kept by some head": lambda f: -f.lost,
}
PROSE = "KL on the verdict's documents"

Prose = dict[tuple[str, float], float]  # mean KL by scorer and retention


@dataclass(frozen=True)
class Correlation:
    measure: str
    question: str
    estimate: Estimate  # mean over cells and retentions of Spearman's rank correlation with accuracy
    cells: int
    scorers: int


def read_verdict(path: Path) -> Prose:
    """Means over its documents that carry a claim."""
    verdict = read_json(path)
    if not isinstance(verdict, dict) or verdict.get("schema") != SCHEMA:
        raise ToolError(f'{path}: no verdict: "schema" is not "{SCHEMA}"')
    try:
        everything = list(range(len(verdict["documents"])))
        counted = [i for i in everything if "left_out" not in verdict["documents"][i]] or everything
        return {
            (row["scorer"], float(retention)): float(np.mean([row["kl"][i][at] for i in counted]))
            for row in verdict["rows"]
            for at, retention in enumerate(verdict["retentions"])
        }
    except (KeyError, TypeError, ValueError, IndexError):
        raise ToolError(f"{path}: not as evictlab-verdict writes it; measure it again") from None


def compared_scorers(result: Result) -> list[str]:
    """Those beside random and the bounds, who are far from all others and would flatter every measure."""
    return [row for row in result.rows if row not in BOUNDS and row.partition("@")[0].partition(":")[0] != RANDOM]


def correlate(result: Result, library: Library, prose: Prose | None) -> list[Correlation]:
    scorers = compared_scorers(result)
    if len(scorers) < LEAST_SCORERS:
        raise ToolError(
            f"--correlate needs {LEAST_SCORERS} scorers beside random and the oracle; there are {len(scorers)}"
        )
    found = []
    for question in dict.fromkeys(cell.question for cell in result.cells):
        cells = [cell for cell in result.cells if cell.question == question and not cell.left_out]
        places = [(cell, at) for cell in cells for at in range(len(result.retentions))]
        for measure, what in OWN.items():
            values = [_of_cell(result, scorers, cell, at, what) for cell, at in places]
            found.append(_over(library, measure, question, values, len(scorers)))
        if prose is not None:
            known = [scorer for scorer in scorers if all((scorer, r) in prose for r in result.retentions)]
            if len(known) < LEAST_SCORERS:
                raise ToolError(
                    f"the verdict has {len(known)} of the {len(scorers)} scorers at all of these retentions; a "
                    f"correlation needs {LEAST_SCORERS}"
                )
            values = [_of_prose(result, known, cell, at, prose) for cell, at in places]
            found.append(_over(library, PROSE, question, values, len(known)))
    return found


def _accuracy(result: Result, scorers: Sequence[str], cell: Cell, at: int) -> Any:
    return np.array([result.values(scorer, cell, at, lambda f: f.right).mean() for scorer in scorers])


def _of_cell(
    result: Result, scorers: Sequence[str], cell: Cell, at: int, what: Callable[[AnswerFigures], float]
) -> float:
    measured = np.array([result.values(scorer, cell, at, what).mean() for scorer in scorers])
    if not np.isfinite(measured).all():
        return float("nan")
    return spearman(measured, _accuracy(result, scorers, cell, at))


def _of_prose(result: Result, scorers: Sequence[str], cell: Cell, at: int, prose: Prose) -> float:
    measured = np.array([-prose[scorer, result.retentions[at]] for scorer in scorers])
    return spearman(measured, _accuracy(result, scorers, cell, at))


def _over(library: Library, measure: str, question: str, values: Sequence[float], scorers: int) -> Correlation:
    """Cells where all scorers are equally right say nothing."""
    known = np.array([value for value in values if np.isfinite(value)])
    estimate = mean(library, known) if len(known) else Estimate(np.nan, np.nan, np.nan)
    return Correlation(measure, question, estimate, len(known), scorers)


def correlations_to_text(correlations: Sequence[Correlation]) -> str:
    lines = [
        "Which measure predicts who gets answers right: mean over tasks and retentions of\n"
        "the rank correlation (Spearman) over scorers, random and oracles left out",
        f"{'measure':<32}{'question':>10}{'correlation':>22}{'cells':>7}{'scorers':>9}",
    ]
    for one in correlations:
        told = "-" if np.isnan(one.estimate.value) else one.estimate.text(".2f")
        lines.append(f"{one.measure:<32}{one.question:>10}{told:>22}{one.cells:>7}{one.scorers:>9}")
    return "\n".join(lines)


def correlations_json(correlations: Sequence[Correlation]) -> list[dict[str, Any]]:
    def number(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return [
        {
            "measure": one.measure,
            "question": one.question,
            "correlation": number(one.estimate.value),
            "interval": [number(one.estimate.low), number(one.estimate.high)],
            "cells": one.cells,
            "scorers": one.scorers,
        }
        for one in correlations
    ]
