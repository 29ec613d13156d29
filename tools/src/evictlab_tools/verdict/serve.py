"""The judge as a service: requests and answers, one JSON object a line (protocol evictlab-judge/1).

The prompt of a document runs when it is first asked for, and is kept. Documents are judged in parallel by workers, so
answers may come in another order than requests. docs/verdict.md describes the protocol.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch

from evictlab_tools.errors import ToolError
from evictlab_tools.external.names import is_external
from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.judge_protocol import PROTOCOLS, SPLITS, judge_request
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.lines import LineWriter, parse_request
from evictlab_tools.shapes import Budgets, Shape
from evictlab_tools.verdict.documents import DocumentSet, TokenDocument
from evictlab_tools.verdict.judge import DocumentRun, Judge


@dataclass
class _Place:
    """A document, and its run once that was asked for."""

    document: TokenDocument
    run: DocumentRun | None = None
    lock: Lock = field(default_factory=Lock)


@dataclass
class _Question:
    """A request, and what is known of its answer."""

    id: Any
    scorer: Scorer | ExternalScorer
    budgets: Budgets
    shape: Shape
    kl: list[list[float] | None]  # [document], None: not yet
    error: str | None = None
    lock: Lock = field(default_factory=Lock)


class Server:
    """Answers requests on documents of the train and valid splits with `workers` threads, of `threads` each."""

    def __init__(
        self,
        judge: Judge,
        documents: DocumentSet,
        lab: Lab,
        *,
        workers: int,
        threads: int,
        calibration: str | None = None,  # SHA-256 of one that was asked for in place of the suite's own
        external: Mapping[str, ExternalScorer] | None = None,  # Python's own that requests may name; of one worker
    ) -> None:
        self._external = external or {}
        self._judge, self._lab, self._calibration, self._workers = judge, lab, calibration, workers
        self._documents = documents.of_splits(SPLITS)
        self._places = {document.name: _Place(document) for document in self._documents.documents}
        # Torch's number of threads is each thread's own.
        self._pool = ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(threads))

    def greeting(self, model: str, protocol: str = PROTOCOLS[0]) -> dict[str, Any]:
        """The first line. `judge` names all that figures follow from, so that answers can be kept under it."""
        name = f"{model} ({self._judge.source.weights}), suite {self._documents.suite} {self._documents.suite_hash}"
        if self._judge.sliding_layers:
            name += ", sliding layers evicted"
        if self._judge.on_answers:
            name += ", on answers"
        if words := self._judge.source.device.words():
            name += f", {words}"
        if scored := self._judge.scoring.said:
            name += f", scoring {scored['scoring']}"
        if self._calibration is not None:
            name += f", calibration sha256:{self._calibration}"
        if self._external:
            name += f", with {', '.join(f'{text} ({self._external[text].origin})' for text in sorted(self._external))}"
        documents = [{"name": d.name, "kind": d.kind, "split": d.split} for d in self._documents.documents]
        heeded = {"shapes": True, "keep": True}
        return {"protocol": protocol, "judge": name, "documents": documents, "parallel": self._workers, **heeded}

    def serve(self, requests: Iterable[bytes], answers: LineWriter) -> None:
        """Until the requests end. What was asked is still answered then, unless nobody reads answers any more."""
        try:
            for line in requests:
                if line.strip():
                    self._take(line, answers)
            self._pool.shutdown()
        except BaseException:
            self._pool.shutdown(cancel_futures=True)
            raise

    def _take(self, line: bytes, answers: LineWriter) -> None:
        name: Any = None
        try:
            request = parse_request(line)
            name = request.get("id")
            places, question = self._question(request)
        except (ToolError, UnicodeEncodeError) as error:
            answers.write({"id": name, "error": str(error)})
            return
        for index, place in enumerate(places):
            self._pool.submit(self._judge_one, question, index, place, answers)

    def _question(self, request: dict[str, Any]) -> tuple[list[_Place], _Question]:
        asked = judge_request(request, self._places)
        nothing: list[list[float] | None] = [None] * len(asked.documents)
        scorer = self._open(asked.scorer)
        scorer.check_shape(asked.shape)
        question = _Question(asked.id, scorer, asked.budgets, asked.shape, nothing)
        return [self._places[name] for name in asked.documents], question

    def _open(self, text: str) -> Scorer | ExternalScorer:
        """Code is run at the word of whoever starts the judge, not of who asks it."""
        if is_external(text) and text not in self._external:
            raise ToolError(
                f"scorer '{text}' would be code of Python's own, which this judge was not started with: "
                f"--serve --scorers {text} --workers 1"
            )
        return self._external.get(text) or self._lab.open(text)

    def _judge_one(self, question: _Question, index: int, place: _Place, answers: LineWriter) -> None:
        if question.error is not None or answers.closed:
            return
        error = None
        figures: list[float] = []
        try:
            figures = self._figures(question, place)
        except ToolError as problem:
            error = f"{question.scorer.text} on {place.document.name}: {problem}"
        except Exception as problem:  # one scorer's trouble must not end the service
            traceback.print_exc(file=sys.stderr)
            error = f"{question.scorer.text} on {place.document.name}: {type(problem).__name__}: {problem}"
        with question.lock:
            if question.error is not None:
                return
            question.kl[index], question.error = figures, error
            finished = all(figures is not None for figures in question.kl)
        if error is not None:
            answers.write({"id": question.id, "error": error})
        elif finished:
            answers.write({"id": question.id, "kl": question.kl})

    def _figures(self, question: _Question, place: _Place) -> list[float]:
        run = self._run(place)
        budgets = question.budgets
        removed = [budgets.removed(retention, run.prompt) for retention in budgets.retentions]
        kept = run.keep(question.scorer, removed, question.shape)
        divergences = [figures.kl for figures in run.measure(kept)]
        if not all(map(math.isfinite, divergences)):
            raise ToolError(f"the divergence is no finite number: {divergences}")
        return [max(0.0, kl) for kl in divergences]  # rounding alone can make one of 0 negative

    def _run(self, place: _Place) -> DocumentRun:
        with place.lock:
            if place.run is None:
                place.run = self._judge.read(place.document).trimmed()
            return place.run
