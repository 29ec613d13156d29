"""What a farm was asked and has not answered yet: requests, their pieces, and who is suspected of costing workers."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.farm.introduction import Result
from evictlab_tools.judge_protocol import JudgeRequest

MOST_LOSSES = 3  # of workers, before a scorer is asked about no more
Answer = dict[str, Any]


@dataclass(eq=False)
class Request:
    """A request, and what is known of its answer, by the index of each document."""

    asked: JudgeRequest
    rest: str  # of its line, but for id and documents: whatever else it says is for the workers
    results: list[Result | None]  # of each document: what was asked for, why there is none, or None: not yet
    failed_at: int | None = None  # the first document that has no figures
    over: bool = False
    _known: int = 0  # documents with figures before the first that has none yet

    def take(self, index: int, result: Result) -> Answer | None:
        """The answer where it is known now. An error is that of the first document that has one, in the order asked."""
        self.results[index] = result
        if isinstance(result, str) and (self.failed_at is None or index < self.failed_at):
            self.failed_at = index
        while self._known < len(self.results) and isinstance(self.results[self._known], list | dict):
            self._known += 1
        if self._known == len(self.results):
            return {"id": self.asked.id, "gradients" if self.asked.gradients else "kl": self.results}
        if self._known == self.failed_at:
            return {"id": self.asked.id, "error": self.results[self._known]}
        return None


@dataclass(eq=False)
class Piece:
    """One document of a request: what a worker is asked."""

    request: Request
    index: int
    losses: int = 0  # of workers that had it open

    @property
    def document(self) -> str:
        return self.request.asked.documents[self.index]

    @property
    def scorer(self) -> str:
        return self.request.asked.scorer

    @property
    def idle(self) -> bool:
        """Nobody waits for it any more."""
        failed_at = self.request.failed_at
        return self.request.over or (failed_at is not None and failed_at < self.index)

    def line(self, number: int) -> str:
        """What a worker is asked."""
        return f'{{"id": {number}, "documents": {json.dumps([self.document])}, {self.request.rest[1:]}'


@dataclass
class Work:
    """Requests that wait and are under way. A scorer of which a piece was open when a worker was lost is suspected: its
    pieces are asked one at a time, each with nothing else open at the same worker, until none of them was lost."""

    answer: Callable[[Answer], None]
    waiting: deque[Piece] = field(default_factory=deque)
    suspects: dict[str, list[Piece]] = field(default_factory=dict)  # by scorer, waiting
    trials: dict[str, Piece] = field(default_factory=dict)  # by scorer: what is asked alone now
    convicted: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)

    def add(self, asked: JudgeRequest, line: dict[str, Any]) -> None:
        """`line` is the request as it was read. ToolError where it cannot be handed on."""
        try:
            rest = json.dumps({k: line[k] for k in line if k not in ("id", "documents")}, allow_nan=False)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"not a line of JSON: {error}") from None
        request = Request(asked, rest, [None] * len(asked.documents))
        self.requests.append(request)
        if asked.scorer in self.convicted:
            self._refuse(request)
            return
        self.waiting += (Piece(request, index) for index in range(len(asked.documents)))

    def is_suspected(self, scorer: str) -> bool:
        return scorer in self.suspects or scorer in self.trials

    def begin_trial(self, scorer: str) -> Piece:
        """The next piece of a suspected scorer that is to be asked alone."""
        pieces = self.suspects[scorer]
        piece = pieces.pop(0)
        if not pieces:
            del self.suspects[scorer]
        self.trials[scorer] = piece
        return piece

    def answered(self, piece: Piece, result: Result) -> None:
        if self.trials.get(piece.scorer) is piece:
            del self.trials[piece.scorer]
        if piece.request.over:
            return
        if (answer := piece.request.take(piece.index, result)) is not None:
            self._finish(piece.request, answer)

    def lost(self, pieces: Iterable[Piece]) -> list[str]:
        """Of a worker that had them open. The scorers that are to blame."""
        blamed = []
        for piece in pieces:
            if self.trials.get(piece.scorer) is piece:
                del self.trials[piece.scorer]
            if piece.idle:
                continue
            piece.losses += 1
            if piece.losses >= MOST_LOSSES:
                blamed.append(piece.scorer)
                self._convict(piece.scorer)
            else:
                suspects = self.suspects.setdefault(piece.scorer, [])
                suspects.append(piece)
                suspects.sort(key=lambda suspect: -suspect.losses)  # who was lost alone tells soonest
        return blamed

    def _convict(self, scorer: str) -> None:
        self.convicted.add(scorer)
        for request in [request for request in self.requests if request.asked.scorer == scorer]:
            self._refuse(request)

    def _refuse(self, request: Request) -> None:
        why = f"{MOST_LOSSES} workers were lost, one after another, while they judged this scorer"
        self._finish(request, {"id": request.asked.id, "error": why})

    def _finish(self, request: Request, answer: Answer) -> None:
        request.over = True
        self.requests.remove(request)
        self.answer(answer)
        self._drop_idle(request.asked.scorer)

    def _drop_idle(self, scorer: str) -> None:
        """What nobody waits for any more."""
        if scorer in self.suspects:
            left = [piece for piece in self.suspects.pop(scorer) if not piece.idle]
            if left:
                self.suspects[scorer] = left

    @property
    def backlog(self) -> int:
        return len(self.waiting) + sum(map(len, self.suspects.values()))
