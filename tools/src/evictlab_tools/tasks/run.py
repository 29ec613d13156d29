"""What eviction leaves of answers: the model's own, greedy, and the likelihood of the right one, from the journal or
from the model."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evictlab_tools.errors import ToolError
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.generation import Answer, answer, sets_at_once
from evictlab_tools.journal import LineJournal
from evictlab_tools.library import Scorer
from evictlab_tools.progress import Progress
from evictlab_tools.shapes import Budgets
from evictlab_tools.tasks.documents import TaskDocument
from evictlab_tools.tasks.match import MATCHES
from evictlab_tools.verdict.bounds import ORACLE
from evictlab_tools.verdict.divergence import compare
from evictlab_tools.verdict.judge import DocumentRun, Judge, Masks

JOURNAL_FORMAT = "evictlab-tasks-journal/1"
FULL = "full cache"


@dataclass(frozen=True)
class Full:
    """Without eviction."""

    right: float  # from 0 to 1, as the task counts it
    told: str
    nll: float  # of the answers' tokens, nats a token


@dataclass(frozen=True)
class AnswerFigures:
    right: float
    told: str
    kl: float  # over the answers' tokens, from the run without eviction, nats a token
    delta_nll: float
    kept: int  # cached tokens, over layers and heads that are evicted from
    cached: int
    spans: Mapping[str, float]  # by role, the share kept of its tokens, over these layers and heads
    lost: float  # share of the answer's tokens in the prompt that no head of these layers kept


Key = tuple[str, str, float]  # document's hash, scorer's hash or row, retention


class TaskJournal:
    def __init__(self, path: Path, basis: dict[str, Any], parts: Sequence[Path] = ()) -> None:
        """What the journals of `parts` have and this one has not comes into it."""
        self._lines = LineJournal(path, JOURNAL_FORMAT, "evictlab-tasks", basis)
        self._full: dict[str, Full] = {}
        self._figures: dict[Key, AnswerFigures] = {}
        for entry in self._lines.entries:
            self._take(path, entry)
        for part in parts:
            for entry in self._lines.entries_of(part):
                if self._take(part, entry):
                    self._lines.add(entry)

    def _take(self, path: Path, entry: dict[str, Any]) -> bool:
        """Whether it is new."""
        known = len(self._full) + len(self._figures)
        try:
            if "full" in entry:
                self._full.setdefault(entry["document_hash"], Full(**entry["full"]))
            else:
                key = (entry["document_hash"], entry["scorer_hash"], float(entry["retention"]))
                self._figures.setdefault(key, AnswerFigures(**entry["figures"]))
        except (KeyError, TypeError, ValueError):
            raise self._lines.foreign(path) from None
        return len(self._full) + len(self._figures) > known

    def full(self, document: TaskDocument) -> Full | None:
        return self._full.get(document.hash)

    def get(self, key: Key) -> AnswerFigures | None:
        return self._figures.get(key)

    def add_full(self, document: TaskDocument, full: Full) -> None:
        self._lines.add({"document": document.tokens.name, "full": asdict(full), "document_hash": document.hash})
        self._full[document.hash] = full

    def add(self, key: Key, names: dict[str, str], figures: AnswerFigures) -> None:
        document, scorer, retention = key
        entry = {**names, "retention": retention, "figures": asdict(figures)}
        self._lines.add({**entry, "document_hash": document, "scorer_hash": scorer})
        self._figures[key] = figures

    def close(self) -> None:
        self._lines.close()


@dataclass
class Asking:
    """One example's run, and its answers under masks."""

    run: DocumentRun
    document: TaskDocument
    new_tokens: int

    def answers(self, kept: Sequence[Masks]) -> list[Answer]:
        """The model's own ends when all is right, at a special token, or when it has been long enough."""
        special, example = self.run.judge.source.tokenizer.special, self.document.example

        def finished(tokens: Sequence[int]) -> bool:
            return tokens[-1] in special or MATCHES[example.match](self.text(tokens), example.answers) == 1

        return answer(
            self.run.model,
            self.document.tokens.ids,
            self.run.prompt,
            self.document.fed,
            self.run.prompt_layers,
            [[torch.from_numpy(mask) for mask in masks] for masks in kept],
            self.new_tokens,
            finished,
        )

    def text(self, tokens: Sequence[int]) -> str:
        tokenizer = self.run.judge.source.tokenizer
        return "".join(tokenizer.decode(token) for token in tokens if token not in tokenizer.special)

    def right(self, told: str) -> float:
        return MATCHES[self.document.example.match](told, self.document.example.answers)

    def full(self) -> Full:
        heads = [self.run.layers[number].k.shape[0] for number in sorted(self.run.layers)]
        (own,) = self.answers([[np.ones((h, self.run.prompt), np.bool_) for h in heads]])
        told, ids, first = self.text(own.tokens), self.document.tokens.ids, self.run.prompt + 1
        rows = zip(self.run.answer_predictions.logits, self.run.answer_rows, strict=True)
        nll = [-float(logits.double().log_softmax(-1)[ids[first + row]]) for logits, row in rows]
        return Full(self.right(told), told, sum(nll) / len(nll))

    def figures(self, kept: Sequence[Masks]) -> list[AnswerFigures]:
        return [self._figures(masks, own) for masks, own in zip(kept, self.answers(kept), strict=True)]

    def _figures(self, masks: Masks, own: Answer) -> AnswerFigures:
        judged = [mask for number, mask in enumerate(masks) if self.run.is_evicted(number)]
        spans = {
            role: float(np.mean([mask[:, list(tokens)].mean() for mask in judged]))
            for role, tokens in self.document.roles.items()
            if tokens
        }
        critical = list(self.document.roles.get("answer", ()))
        anywhere = np.any([mask.any(0) for mask in judged], axis=0)
        lost = float(1 - anywhere[critical].mean()) if critical else float("nan")
        kl, delta_nll = self._compare(own.logits)
        kept, cached = int(sum(mask.sum() for mask in judged)), sum(mask.size for mask in judged)
        told = self.text(own.tokens)
        return AnswerFigures(self.right(told), told, kl, delta_nll, kept, cached, spans, lost)

    def _compare(self, logits: Tensor) -> tuple[float, float]:
        """KL divergence and change of the negative log-likelihood over the answers' tokens; `logits` are of all from
        `fed` on."""
        rows, ids, first = self.run.answer_rows, self.document.tokens.ids, self.run.prompt + 1
        places = [first + row - self.document.fed for row in rows]
        return compare(self.run.answer_predictions, logits[places], [ids[first + row] for row in rows])


@dataclass
class TaskRun:
    """Figures of every example, scorer (or oracle) and retention."""

    judge: Judge
    documents: Sequence[TaskDocument]
    scorers: Mapping[str, Scorer | ExternalScorer]
    budgets: Budgets
    journal: TaskJournal
    new_tokens: int | None = None
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def retentions(self) -> tuple[float, ...]:
        return self.budgets.retentions

    @property
    def rows(self) -> list[str]:
        return [*self.scorers, ORACLE]

    def key(self, document: TaskDocument, row: str, retention: float) -> Key:
        return document.hash, self.scorers[row].hash if row in self.scorers else row, retention

    def figures(self, document: TaskDocument, row: str, retention: float) -> AnswerFigures | None:
        return self.journal.get(self.key(document, row, retention))

    def _missing(self, document: TaskDocument, row: str) -> list[float]:
        return [r for r in self.retentions if self.figures(document, row, r) is None]

    def run(self) -> None:
        """The first examples of all tasks and kinds of questions first: a run that is stopped has as many of each."""
        total = len(self.documents) * len(self.rows) * len(self.retentions)
        missing = sum(len(self._missing(d, row)) for d in self.documents for row in self.rows)
        with Progress("tasks", total, done=total - missing, unit="answer") as progress:
            for document in sorted(self.documents, key=lambda document: document.example.example):
                if self.journal.full(document) and not any(self._missing(document, row) for row in self.rows):
                    continue
                progress.at(document.tokens.name)
                limit = self.new_tokens or document.example.new_tokens
                asking = Asking(self.judge.read(document.tokens), document, limit)
                if self.journal.full(document) is None:
                    self.journal.add_full(document, asking.full())
                self._run_document(asking, progress)

    def _run_document(self, asking: Asking, progress: Progress) -> None:
        """All kept sets of all rows, many as one batch: a model's step takes about as long for one as for a few."""
        document = asking.document
        wanted = [(row, r, masks) for row in self.rows for r, masks in self._kept(asking, row, progress)]
        size = sets_at_once(asking.run.prompt_layers)
        for chunk in (wanted[first : first + size] for first in range(0, len(wanted), size)):
            for (row, r, _), figures in zip(chunk, asking.figures([masks for _, _, masks in chunk]), strict=True):
                names = {"document": document.tokens.name, "scorer": row}
                self.journal.add(self.key(document, row, r), names, figures)
            progress.advance(len(chunk))

    def _kept(self, asking: Asking, row: str, progress: Progress) -> list[tuple[float, Masks]]:
        """What the row keeps at each retention of which nothing is known yet; nothing of a scorer that failed."""
        document, missing = asking.document, self._missing(asking.document, row)
        if missing and row not in self.failures:
            removed = [self.budgets.removed(retention, asking.run.prompt) for retention in missing]
            try:
                scorer = self.scorers.get(row)
                kept = asking.run.keep(scorer, removed) if scorer else asking.run.keep_oracle(row, removed)
                return list(zip(missing, kept, strict=True))
            except ToolError as error:
                self.failures[row] = f"{row} on {document.tokens.name}: {error}"
                progress.say(f"error: {self.failures[row]}; its row is left out")
        progress.advance(len(missing))
        return []
