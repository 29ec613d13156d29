"""Finished figures of tasks, and their JSON ("evictlab-tasks/1")."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from evictlab_tools.device import USUAL_DEVICE, DeviceConfig
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.made import made
from evictlab_tools.tasks.documents import TaskDocument
from evictlab_tools.tasks.run import AnswerFigures, Full, TaskRun
from evictlab_tools.uncompressed import LEAST_SHARE
from evictlab_tools.verdict.statistics import Values
from evictlab_tools.verdict.verdicts import cut_json

SCHEMA = "evictlab-tasks/1"


@dataclass(frozen=True)
class Cell:
    """The examples of one task with one kind of question."""

    task: str
    format: str
    question: str
    match: str
    documents: tuple[int, ...]
    full: float  # mean share that is right without eviction

    @property
    def left_out(self) -> str:
        """Why it is in no mean, or ""."""
        if self.full >= LEAST_SHARE:
            return ""
        return f"the model gets {100 * self.full:.0f} % right without eviction"


@dataclass(frozen=True)
class Result:
    model: str
    weights: str
    retentions: tuple[float, ...]
    documents: tuple[TaskDocument, ...]
    full: tuple[Full, ...]
    rows: Mapping[str, Sequence[Sequence[AnswerFigures]]]  # [document][retention]
    sources: Mapping[str, str]
    device: DeviceConfig = USUAL_DEVICE
    scoring: Mapping[str, Any] = field(default_factory=dict)
    cut: Mapping[str, Any] = field(default_factory=dict)  # "shape" and "keep", where they are not the usual ones
    external: Mapping[str, str] = field(default_factory=dict)  # of rows of Python's own, their origin

    @cached_property
    def cells(self) -> list[Cell]:
        members: dict[tuple[str, str], list[int]] = {}
        for i, document in enumerate(self.documents):
            members.setdefault((document.example.name, document.example.question), []).append(i)
        found = []
        for (task, question), places in members.items():
            example = self.documents[places[0]].example
            full = float(np.mean([self.full[i].right for i in places]))
            found.append(Cell(task, example.format, question, example.match, tuple(places), full))
        return found

    def values(self, row: str, cell: Cell, retention: int, what: Callable[[AnswerFigures], float]) -> Values:
        """One figure an example."""
        return np.array([what(self.rows[row][i][retention]) for i in cell.documents])


def result_of(run: TaskRun, model: str, sources: Mapping[str, str]) -> Result:
    rows: dict[str, list[list[AnswerFigures]]] = {}
    for row in run.rows:
        found = [[run.figures(d, row, r) for r in run.retentions] for d in run.documents]
        known = [[figures for figures in of_document if figures is not None] for of_document in found]
        if row not in run.failures and known == found:
            rows[row] = known
    full = tuple(one for d in run.documents if (one := run.journal.full(d)) is not None)
    source = run.judge.source
    scoring, cut = run.judge.scoring.said, cut_json(run.judge.shape, run.budgets)
    origins = {row: scorer.origin for row, scorer in run.scorers.items() if isinstance(scorer, ExternalScorer)}
    documents = tuple(run.documents)
    return Result(
        model, source.weights, run.retentions, documents, full, rows, sources, source.device, scoring, cut, origins
    )


def to_json(result: Result, made_by: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model": result.model,
        "weights": result.weights,
        "protocol": "prefill",
        "made_by": made_by,
        "made": made(),
        **({"sources": dict(result.sources)} if result.sources else {}),
        **result.device.field,
        **result.scoring,
        **result.cut,
        "retentions": list(result.retentions),
        "cells": [_cell_json(cell) for cell in result.cells],
        "documents": [
            _document_json(document, full) for document, full in zip(result.documents, result.full, strict=True)
        ],
        "rows": [
            _row_json(scorer, figures) | ({"external": result.external[scorer]} if scorer in result.external else {})
            for scorer, figures in result.rows.items()
        ],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    value: dict[str, Any] = {
        "task": cell.task,
        "format": cell.format,
        "question": cell.question,
        "match": f"string_match_{cell.match}",
        "examples": len(cell.documents),
        "full": cell.full,
    }
    return {**value, "left_out": cell.left_out} if cell.left_out else value


def _document_json(document: TaskDocument, full: Full) -> dict[str, Any]:
    example, tokens = document.example, document.tokens
    return {
        "name": tokens.name,
        "task": example.name,
        "question": example.question,
        "split": tokens.split,
        "prompt": tokens.prompt,
        "answer_tokens": sum(lookup.past - lookup.first for lookup in tokens.lookups),
        "answers": list(example.answers),
        "full": asdict(full),
    }


def _share_of(role: str) -> Callable[[AnswerFigures], float | None]:
    return lambda figures: figures.spans.get(role)


def _row_json(scorer: str, figures: Sequence[Sequence[AnswerFigures]]) -> dict[str, Any]:
    """Figures by [document][retention]."""

    def each(what: Callable[[AnswerFigures], Any]) -> list[list[Any]]:
        return [[what(one) for one in of_document] for of_document in figures]

    roles = sorted({role for of_document in figures for one in of_document for role in one.spans})
    kept = np.array(each(lambda one: one.kept)).sum(0)
    cached = np.array(each(lambda one: one.cached)).sum(0)
    return {
        "scorer": scorer,
        "right": each(lambda one: one.right),
        "answer_kl": each(lambda one: one.kl),
        "answer_delta_nll": each(lambda one: one.delta_nll),
        "kept": {role: each(_share_of(role)) for role in roles},
        "lost": each(lambda one: one.lost if one.lost == one.lost else None),
        "retention_used": (kept / cached).tolist(),
        "told": each(lambda one: one.told),
    }
