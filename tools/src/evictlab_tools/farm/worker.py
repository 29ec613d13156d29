"""A place of the farm: its process from start to loss and start again, and what it has open."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from evictlab_tools.farm.guard import Guard
from evictlab_tools.farm.introduction import (
    PROBE_RETENTIONS,
    Introduction,
    Result,
    counted,
    excerpt,
    gradients_of,
    introduction_of,
    object_of,
    result_of,
)
from evictlab_tools.farm.process import WorkerFailure, WorkerProcess
from evictlab_tools.farm.work import Piece
from evictlab_tools.shown import shown

PROBE_NUMBER = 0  # requests are numbered from 1
LONGEST_REST = 60.0  # seconds


@dataclass(frozen=True)
class Settings:
    """Times are seconds."""

    probe: str
    restarts: int
    restart_delay: float
    start_timeout: float
    worker_timeout: float
    mixed: bool


class Phase(Enum):
    STARTING = auto()  # until its introduction
    PROBING = auto()  # until it answered the probe question
    PROBED = auto()  # until it was compared with the others
    READY = auto()
    RESTING = auto()  # until it is started again
    GONE = auto()


class Worker:
    """`place` counts from 0, people from 1."""

    def __init__(
        self, place: int, words: str, command: str, settings: Settings, guard: Guard, tell: Callable[[str], None]
    ) -> None:
        self.place, self.command = place, command
        self.name = f"worker {place + 1} ({excerpt(words, 100)})"
        self._settings, self._guard = settings, guard
        self._tell = tell
        self.process: WorkerProcess | None = None
        self.introduction: Introduction | None = None
        self.probed: list[float] | None = None  # what it answers to the probe question
        self.kind = ""  # where kinds are told apart
        self.open: dict[int, Piece] = {}
        self.trial = False  # what it has open was to be asked alone
        self.asked = 0  # since it was started, the probe left out
        self.losses = 0
        self.why = ""  # it was lost the last time, or is gone
        self.was_there = False  # at some time, and had introduced itself
        self._losses_in_a_row = 0  # without an answer between them
        self._left_at = 0.0
        self._since = 0.0  # of the rest, the start, or the last progress
        self.start()

    def start(self) -> None:
        self.phase, self._since = Phase.STARTING, time.monotonic()
        self.introduction, self.probed, self.asked = None, None, 0
        self.process = WorkerProcess(
            self.command, self._guard, lambda words: self._tell(f"worker {self.place + 1}: {words}")
        )

    @property
    def fresh(self) -> bool:
        """It is being started for the first time, and may still become what others are compared with."""
        return self.losses == 0 and self.phase in (Phase.STARTING, Phase.PROBING)

    @property
    def comes_back(self) -> bool:
        """Soon, after it was lost or ended."""
        away = self.phase not in (Phase.READY, Phase.GONE)
        return away and self.was_there and time.monotonic() < self._left_at + LONGEST_REST

    @property
    def depth(self) -> int:
        """Requests that it may have open: one waits there for its turn, so that it need not wait for the next."""
        return (self.introduction.parallel if self.introduction else 1) + 1

    def ask(self, number: int, piece: Piece, *, alone: bool = False) -> None:
        assert self.process is not None
        if not self.open:
            self._since = time.monotonic()
        self.open[number] = piece
        self.trial = alone
        self.asked += 1
        self.process.send(piece.line(number))

    def step(self) -> Iterator[tuple[Piece, Result]]:
        """What it answered. WorkerFailure where it is lost."""
        if self.phase is Phase.RESTING and self.rest_left() <= 0:
            self.start()
        if self.process is None:
            return
        for line in self.process.step():
            self._since = time.monotonic()
            answer = self._take(line)
            if answer is not None:
                yield answer
        silent = time.monotonic() - self._since
        if self.phase in (Phase.STARTING, Phase.PROBING) and silent > self._settings.start_timeout:
            what = "introduce itself" if self.phase is Phase.STARTING else "answer the probe question"
            raise WorkerFailure(f"did not {what} within {self._settings.start_timeout:g} s")
        if self.open and silent > self._settings.worker_timeout:
            raise WorkerFailure(f"was silent for {self._settings.worker_timeout:g} s")

    def _take(self, line: bytes) -> tuple[Piece, Result] | None:
        if self.phase is Phase.STARTING:
            self.introduction = introduction_of(line)
            self.was_there = True
            self._probe(self.introduction)
            return None
        answer = object_of(line)
        number = answer.get("id")
        if isinstance(number, bool) or not isinstance(number, int):
            raise WorkerFailure(f"answers no question: '{excerpt(str(answer.get('error', answer)), 200)}'")
        if self.phase is Phase.PROBING and number == PROBE_NUMBER:
            result = result_of(answer, len(PROBE_RETENTIONS))
            if isinstance(result, str):
                asked = shown(self._settings.probe)
                raise WorkerFailure(f"cannot answer the probe '{asked}' ({shown(result)}); --probe names another")
            self.probed, self.phase = result, Phase.PROBED
            return None
        piece = self.open.get(number)
        if piece is None:
            raise WorkerFailure(f"answers a question {number} that is not open")
        judged = piece.request.asked
        told: Result = gradients_of(answer) if judged.gradients else result_of(answer, len(judged.retentions))
        del self.open[number]
        self.trial = self.trial and bool(self.open)
        self._losses_in_a_row = 0
        return piece, told

    def _probe(self, introduction: Introduction) -> None:
        assert self.process is not None
        question = {"id": PROBE_NUMBER, "scorer": self._settings.probe, "retentions": PROBE_RETENTIONS}
        self.process.send(json.dumps({**question, "documents": [introduction.documents[0].name]}))
        self.phase = Phase.PROBING

    def lose(self, why: str) -> list[Piece]:
        """What it had open. It rests then, or is gone."""
        words = self._end()
        self._left_at = time.monotonic()
        self.losses += 1
        self._losses_in_a_row += 1
        if self._losses_in_a_row > self._settings.restarts:
            self.phase = Phase.GONE
            after = "it is not started again"
        else:
            self.phase, self._since = Phase.RESTING, time.monotonic() + self._rest()
            after = f"it is started again in {self._rest():g} s"
        pieces, self.open, self.trial = list(self.open.values()), {}, False
        asked = f"; {counted(len(pieces), 'open question')} will be asked again" if pieces else ""
        self._tell(f"{self.name} {why}{words}; {after}{asked}")
        self.why = why + words
        return pieces

    def renew(self) -> None:
        """Starts it anew, though it is well."""
        self._end()
        self._left_at = time.monotonic()
        self._tell(f"{self.name} is started anew, to be asked first what may have cost others")
        self.start()

    def refuse(self, why: str) -> None:
        """For good."""
        self._end()
        self.phase, self.why = Phase.GONE, f"is refused: it {why}"
        self._tell(f"{self.name} is refused: it {why}")

    def _end(self) -> str:
        """Its last words."""
        if self.process is None:
            return ""
        self.process.close()
        words = "; ".join(shown(line) for line in self.process.last_words)
        self.process = None
        return f" (its last words: {words})" if words else ""

    def _rest(self) -> float:
        delay: float = self._settings.restart_delay * 2 ** min(self._losses_in_a_row - 1, 30)
        return min(LONGEST_REST, delay)

    def rest_left(self) -> float:
        """Seconds until it is started again; 0 unless it rests."""
        return self._since - time.monotonic() if self.phase is Phase.RESTING else 0.0
