"""The tables of a run, for people: 80 columns wide, questions unseen and seen side by side and never summed."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evictlab_tools.example import QUESTIONS
from evictlab_tools.tasks.result import Cell, Result
from evictlab_tools.tasks.run import AnswerFigures
from evictlab_tools.verdict.statistics import Values, wilson

NAME = 24  # columns; a longer name stands in a line of its own
SPANS = ("needle", "answer", "distractor", "instruction", "question")


def tables(result: Result) -> str:
    blocks = [_head(result)]
    names = list(dict.fromkeys((cell.task, cell.format) for cell in result.cells))
    blocks += [_task(result, name, form) for name, form in names]
    if len([cell for cell in result.cells if not cell.left_out]) > len(QUESTIONS):
        blocks.append(_means(result))
    blocks.append(_spans(result))
    return "\n\n".join(blocks)


def _head(result: Result) -> str:
    return (
        f"Answers of {result.model}\n"
        "after eviction at the prompt's end, to questions that the scorer has not seen\n"
        "and to questions within the prompt: % right, greedy, as the task counts it, with\n"
        "95 % intervals over examples (Wilson's); KL, nats a token over the answer's\n"
        "tokens; lost, % of the answer's tokens in the prompt that no head kept"
    ) + _cut(result)


def _cut(result: Result) -> str:
    """As options have it, where it is not the usual one."""
    words = [f"--{name.replace('_', '-')} {value}" for name, value in result.cut.get("shape", {}).items()]
    if keep := result.cut.get("keep"):
        words.append(f"--keep {','.join(map(str, keep))}")
    return "\n" + " ".join(words) if words else ""


def _columns() -> str:
    of_question = [f"{question + ' right':>13}{'KL':>7}{'lost':>5}" for question in QUESTIONS]
    return f"{'scorer':<{NAME}}{'kept':>5}" + " ".join(of_question)


def _cell_of(result: Result, task: str, question: str) -> Cell | None:
    return next((cell for cell in result.cells if (cell.task, cell.question) == (task, question)), None)


def _percent(right: Values, examples: float) -> str:
    found = wilson(float(right.mean()), examples)
    return f"{100 * found.value:.0f}[{100 * found.low:.0f},{100 * found.high:.0f}]"


def _figures(right: Values, examples: float, kl: Values, lost: Values) -> str:
    told = f"{100 * lost.mean():.0f}" if np.isfinite(lost).all() else ""
    return f"{_percent(right, examples):>13}{kl.mean():>7.3f}{told:>5}"


def _lines(result: Result, figures: Callable[[str, int], Sequence[str]]) -> list[str]:
    lines = []
    for scorer in result.rows:
        name = scorer
        if len(scorer) > NAME:
            lines.append(scorer)
            name = ""
        for at, retention in enumerate(result.retentions):
            lines.append(f"{name:<{NAME}}{retention:>5.2f}{' '.join(figures(scorer, at))}".rstrip())
            name = ""
    return lines


def _of_cell(result: Result, cell: Cell | None, scorer: str, at: int) -> str:
    if cell is None:
        return " " * 25
    right, kl, lost = (
        result.values(scorer, cell, at, what) for what in (lambda f: f.right, lambda f: f.kl, lambda f: f.lost)
    )
    return _figures(right, len(right), kl, lost)


def _task(result: Result, task: str, form: str) -> str:
    cells = [_cell_of(result, task, question) for question in QUESTIONS]
    known = [cell for cell in cells if cell is not None]
    lines = [f"{task} ({form}, string_match_{known[0].match})"]
    for cell in known:
        note = f"\n    left out of means: {cell.left_out}" if cell.left_out else ""
        full = _percent(np.array([result.full[i].right for i in cell.documents]), len(cell.documents))
        lines.append(f"  question {cell.question}: {len(cell.documents)} examples, full cache {full} % right{note}")
    lines.append(_columns())
    lines += _lines(result, lambda scorer, at: [_of_cell(result, cell, scorer, at) for cell in cells])
    return "\n".join(lines)


def _means(result: Result) -> str:
    """Over the cells that the model can do, each cell's mean counting once; the interval is over examples of these."""

    def over(question: str, scorer: str, at: int) -> str:
        cells = [cell for cell in result.cells if cell.question == question and not cell.left_out]
        if not cells:
            return " " * 25

        def means(what: Callable[[AnswerFigures], float]) -> Values:
            return np.array([result.values(scorer, cell, at, what).mean() for cell in cells])

        examples = len(cells) ** 2 / sum(1 / len(cell.documents) for cell in cells)
        return _figures(means(lambda f: f.right), examples, means(lambda f: f.kl), means(lambda f: f.lost))

    counts = [sum(c.question == q and not c.left_out for c in result.cells) for q in QUESTIONS]
    lines = [f"Mean over the tasks that the model can do ({counts[0]} unseen, {counts[1]} seen)", _columns()]
    lines += _lines(result, lambda scorer, at: [over(question, scorer, at) for question in QUESTIONS])
    return "\n".join(lines)


def _spans(result: Result) -> str:
    """Of all examples together, by kind of question."""
    lines = ["% kept of the prompt's spans, mean over heads, layers and examples of all tasks"]
    for question in QUESTIONS:
        places = [i for i, document in enumerate(result.documents) if document.example.question == question]
        if not places:
            continue
        lines += ["", f"question {question}", f"{'scorer':<{NAME}}{'kept':>5}" + "".join(f"{r:>12}" for r in SPANS[:4])]

        def shares(scorer: str, at: int, places: Sequence[int] = places) -> list[str]:
            told = []
            for role in SPANS[:4]:
                found = [figures.spans[role] for i in places if role in (figures := result.rows[scorer][i][at]).spans]
                told.append(f"{100 * float(np.mean(found)):>11.0f}" if found else " " * 11)
            return ["", *told]

        lines += _lines(result, shares)
    return "\n".join(lines)
