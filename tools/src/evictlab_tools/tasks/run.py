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

from evictlab_tools.errors import ToolError
from evictlab_tools.journal import LineJournal
from evictlab_tools.library import Scorer
from evictlab_tools.masked import decode
from evictlab_tools.progress import Progress
from evictlab_tools.tasks.documents import TaskDocument
from evictlab_tools.tasks.match import MATCHES
from evictlab_tools.verdict.bounds import ORACLE
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
    def __init__(self, path: Path, basis: dict[str, Any]) -> None:
        self._lines = LineJournal(path, JOURNAL_FORMAT, "evictlab-tasks", basis)
        self._full: dict[str, Full] = {}
        self._figures: dict[Key, AnswerFigures] = {}
        try:
            for entry in self._lines.entries:
                if "full" in entry:
                    self._full[entry["document_hash"]] = Full(**entry["full"])
                else:
                    key = (entry["document_hash"], entry["scorer_hash"], float(entry["retention"]))
                    self._figures[key] = AnswerFigures(**entry["figures"])
        except (KeyError, TypeError, ValueError):
            raise self._lines.foreign() from None

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

    def told(self, kept: Sequence[Masks]) -> list[str]:
        """The model's own answers, until all is right, a special token comes, or they have been long enough."""
        tokenizer, example = self.run.judge.source.tokenizer, self.document.example

        def text(tokens: Sequence[int]) -> str:
            return "".join(tokenizer.decode(token) for token in tokens if token not in tokenizer.special)

        def finished(tokens: Sequence[int]) -> bool:
            return (
                tokens[-1] in tokenizer.special
                or len(tokens) >= self.new_tokens
                or MATCHES[example.match](text(tokens), example.answers) == 1
            )

        fed = self.document.tokens.ids[self.run.prompt : self.document.fed]
        tensors = [[torch.from_numpy(mask) for mask in masks] for masks in kept]
        layers = self.run.prompt_layers
        return [text(t) for t in decode(self.run.model, fed, self.run.prompt, layers, tensors, finished)]

    def right(self, told: str) -> float:
        return MATCHES[self.document.example.match](told, self.document.example.answers)

    def full(self) -> Full:
        heads = [self.run.layers[number].k.shape[0] for number in sorted(self.run.layers)]
        (told,) = self.told([[np.ones((h, self.run.prompt), np.bool_) for h in heads]])
        logits, ids, prompt = self.run.predictions.logits, self.document.tokens.ids, self.run.prompt
        nll = [-float(logits[row].double().log_softmax(-1)[ids[prompt + 1 + row]]) for row in self.run.answer_rows]
        return Full(self.right(told), told, sum(nll) / len(nll))

    def figures(self, kept: Sequence[Masks]) -> list[AnswerFigures]:
        result = []
        for masks, told, measured in zip(kept, self.told(kept), self.run.measure(kept), strict=True):
            judged = [mask for number, mask in enumerate(masks) if self.run.is_evicted(number)]
            spans = {
                role: float(np.mean([mask[:, list(tokens)].mean() for mask in judged]))
                for role, tokens in self.document.roles.items()
                if tokens
            }
            critical = list(self.document.roles.get("answer", ()))
            anywhere = np.any([mask.any(0) for mask in judged], axis=0)
            lost = float(1 - anywhere[critical].mean()) if critical else float("nan")
            result.append(
                AnswerFigures(
                    self.right(told), told, measured.kl, measured.delta_nll, measured.kept, measured.cached, spans, lost
                )
            )
        return result


@dataclass
class TaskRun:
    """Figures of every example, scorer (or oracle) and retention."""

    judge: Judge
    documents: Sequence[TaskDocument]
    scorers: Mapping[str, Scorer]
    retentions: tuple[float, ...]
    journal: TaskJournal
    new_tokens: int | None = None
    failures: dict[str, str] = field(default_factory=dict)

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
        total = len(self.documents) * len(self.rows) * len(self.retentions)
        missing = sum(len(self._missing(d, row)) for d in self.documents for row in self.rows)
        with Progress("tasks", total, done=total - missing, unit="answer") as progress:
            for document in self.documents:
                if self.journal.full(document) and not any(self._missing(document, row) for row in self.rows):
                    continue
                progress.at(document.tokens.name)
                limit = self.new_tokens or document.example.new_tokens
                asking = Asking(self.judge.read(document.tokens), document, limit)
                if self.journal.full(document) is None:
                    self.journal.add_full(document, asking.full())
                for row in self.rows:
                    self._run_row(asking, row, progress)

    def _run_row(self, asking: Asking, row: str, progress: Progress) -> None:
        document, missing = asking.document, self._missing(asking.document, row)
        if missing and row not in self.failures:
            removed = [1.0 - retention for retention in missing]
            try:
                scorer = self.scorers.get(row)
                kept = asking.run.keep(scorer, removed) if scorer else asking.run.keep_oracle(row, removed)
                names = {"document": document.tokens.name, "scorer": row}
                for retention, figures in zip(missing, asking.figures(kept), strict=True):
                    self.journal.add(self.key(document, row, retention), names, figures)
            except ToolError as error:
                self.failures[row] = f"{row} on {document.tokens.name}: {error}"
                progress.say(f"error: {self.failures[row]}; its row is left out")
        progress.advance(len(missing))
