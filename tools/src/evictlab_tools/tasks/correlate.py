"""How well each measure predicts which scorers get answers right: rank correlation over scorers, cell by cell."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
BENCH = "evictlab-bench/"

Damage = dict[tuple[str, float], float]  # lower is better, by scorer and retention


@dataclass(frozen=True)
class Correlation:
    measure: str
    question: str
    estimate: Estimate  # mean over cells and retentions of Spearman's rank correlation with accuracy
    cells: int
    scorers: int


def read_measures(path: Path) -> dict[str, Damage]:
    """Of a verdict, or of a bench on the same model's documents: means over those that carry a claim."""
    result = read_json(path)
    schema = result.get("schema") if isinstance(result, dict) else None
    try:
        if schema == SCHEMA:
            return {PROSE: _of_verdict(result)}
        if isinstance(schema, str) and schema.startswith(BENCH):
            measures = [result["measure"], *result.get("more_measures", [])]
            return {f"{measure.replace('_', ' ')} of the bench": _of_bench(result, measure) for measure in measures}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ToolError(f"{path}: not as evictlab-verdict or evictlab bench writes it; measure it again") from None
    raise ToolError(f'{path}: neither a verdict nor a bench: "schema" is not "{SCHEMA}" or "{BENCH}2"')


def _of_verdict(verdict: dict[str, Any]) -> Damage:
    everything = list(range(len(verdict["documents"])))
    counted = [i for i in everything if "left_out" not in verdict["documents"][i]] or everything
    return {
        (row["scorer"], float(retention)): float(np.mean([row["kl"][i][at] for i in counted]))
        for row in verdict["rows"]
        for at, retention in enumerate(verdict["retentions"])
    }


def _of_bench(bench: dict[str, Any], measure: str) -> Damage:
    """On the test split."""
    labels = bench["traces"]["test"]
    counted = [i for i, label in enumerate(labels) if "left_out" not in label] or list(range(len(labels)))
    found: Damage = {}
    for row in bench["rows"]:
        splits = row["splits"] if measure == bench["measure"] else row.get("measures", {}).get(measure, {})
        figures = splits.get("test", {}).get("traces", [])
        for at, retention in enumerate(bench["retentions"] if figures else []):
            found[row["scorer"], float(retention)] = float(np.mean([figures[i][at] for i in counted]))
    return found


def compared_scorers(result: Result) -> list[str]:
    """Those beside random and the bounds, who are far from all others and would flatter every measure."""
    return [row for row in result.rows if row not in BOUNDS and row.partition("@")[0].partition(":")[0] != RANDOM]


def correlate(result: Result, library: Library, outside: Mapping[str, Damage]) -> list[Correlation]:
    """Measures from outside at the retentions that they have."""
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
        for measure, damage in outside.items():
            shared = [at for at, r in enumerate(result.retentions) if any(known == r for _, known in damage)]
            known = [scorer for scorer in scorers if all((scorer, result.retentions[at]) in damage for at in shared)]
            if len(known) < LEAST_SCORERS or not shared:
                raise ToolError(
                    f"{measure}: of the {len(scorers)} scorers {len(known)} are known there at {len(shared)} of these "
                    f"retentions; a correlation needs {LEAST_SCORERS} scorers, at one retention or more"
                )
            values = [_of_outside(result, known, cell, at, damage) for cell, at in places if at in shared]
            found.append(_over(library, measure, question, values, len(known)))
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


def _of_outside(result: Result, scorers: Sequence[str], cell: Cell, at: int, damage: Damage) -> float:
    measured = np.array([-damage[scorer, result.retentions[at]] for scorer in scorers])
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
