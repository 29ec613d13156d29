"""The farm itself: one loop over its own input and output, its workers and the clock."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.farm.dispatch import Dispatch
from evictlab_tools.farm.guard import Guard
from evictlab_tools.farm.introduction import counted, excerpt
from evictlab_tools.farm.likeness import Likeness
from evictlab_tools.farm.pipes import CHUNK, Lines, Outgoing, Signals, is_ready
from evictlab_tools.farm.process import WorkerFailure
from evictlab_tools.farm.work import Work
from evictlab_tools.farm.worker import Phase, Settings, Worker
from evictlab_tools.judge_protocol import MOST_PARALLEL, PROTOCOLS, judge_request
from evictlab_tools.lines import parse_request
from evictlab_tools.shown import complain

REQUEST_LIMIT = 1 << 24  # bytes
LOOK_AROUND, LOOK_SOON = 1.0, 0.02  # seconds between looks at the clock; where a process is about to end
GRACE = 2.0  # seconds from the end of the input to killing workers
LONGEST_NAME = 1000  # of a request's id
REPORT_AFTER = 60.0  # seconds
LEAST_BACKLOG = 64  # pieces that may wait here


class Stopped(Exception):
    """By a signal, or because nobody reads the answers any more (0)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def tell(words: str) -> None:
    with contextlib.suppress(OSError):
        complain(f"evictlab-farm: {words}")


class Farm:
    """Answers requests that it reads from `requests`, by judges that it starts, in order of their places; of each,
    `commands` has what people are shown and what is run."""

    def __init__(self, commands: Sequence[tuple[str, str]], settings: Settings, requests: int, answers: int) -> None:
        self._requests = requests
        self._out, self._lines = Outgoing(answers), Lines(REQUEST_LIMIT)
        self._reading = True
        self._work = Work(self._out.add)
        self._likeness = Likeness(settings.mixed, tell)
        self._dispatch: Dispatch | None = None  # once the farm has introduced itself
        self._served: set[str] = set()
        self._answered, self._losses = 0, 0
        self._reported, self._reported_at = 0, time.monotonic()
        self._guard = Guard()
        self._workers = [
            Worker(place, words, command, settings, self._guard, tell)
            for place, (words, command) in enumerate(commands)
        ]

    def run(self, signals: Signals) -> None:
        """Until the input ends. Stopped, or ToolError where no worker is left."""
        while self._dispatch is None or self._reading or self._work.requests or self._out:
            self._wait(signals)
            if signals.received is not None:
                raise Stopped(signals.received)
            self._step_workers()
            self._introduce()
            self._read_requests()
            if self._dispatch is not None:
                self._dispatch.assign(self._work)
            if not self._out.write_some():
                raise Stopped(0)
            self._report()

    def close(self, signals: Signals, *, gently: bool) -> None:
        """Ends all workers, after a moment in which they may do so themselves."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.close_input()
                if not gently:
                    worker.process.signal(signal.SIGTERM)
        until = time.monotonic() + (GRACE if gently else 0.1)
        busy = [worker.process for worker in self._workers if worker.process and worker.phase is Phase.READY]
        while busy and time.monotonic() < until and not (gently and signals.received):
            for process in list(busy):
                try:
                    process.step()
                except WorkerFailure:
                    busy.remove(process)
            time.sleep(LOOK_SOON / 4)
        for worker in self._workers:
            if worker.process is not None:
                worker.process.close()
        self._guard.close()

    def _wait(self, signals: Signals) -> None:
        poll = select.poll()
        poll.register(signals.descriptor, select.POLLIN)
        poll.register(*self._out.watched())
        if self._wants_requests():
            poll.register(self._requests, select.POLLIN)
        seconds = LOOK_AROUND
        for worker in self._workers:
            if worker.phase is Phase.RESTING:
                seconds = min(seconds, max(0.0, worker.rest_left()))
            if worker.process is not None:
                for watched in worker.process.watched():
                    poll.register(*watched)
                if worker.process.ending:
                    seconds = min(seconds, LOOK_SOON)
        poll.poll(seconds * 1000)
        signals.drain()

    def _step_workers(self) -> None:
        for worker in self._workers:
            try:
                for piece, result in worker.step():
                    self._answered += 1
                    self._work.answered(piece, result)
            except WorkerFailure as failure:
                self._lose(worker, str(failure))
        if all(worker.phase is Phase.GONE for worker in self._workers):
            self._give_up("no worker is left")
        if self._dispatch is None and all(worker.losses and not worker.was_there for worker in self._workers):
            self._give_up("no worker introduces itself")  # a wrong command, most likely

    def _give_up(self, why: str) -> None:
        each = "; ".join(f"{worker.name} {worker.why}" for worker in self._workers)
        raise ToolError(f"{why}: {each}")

    def _lose(self, worker: Worker, why: str) -> None:
        self._losses += 1
        for scorer in self._work.lost(worker.lose(why)):
            tell(f"{excerpt(scorer)} cost worker after worker: it is answered with an error from now on")

    def _introduce(self) -> None:
        """As soon as the first in order that could be started is there: the others join later."""
        self._likeness.compare(self._workers)
        if self._dispatch is None and self._likeness.like is not None:
            usual = self._likeness.like.parallel + 1
            left = [worker for worker in self._workers if worker.phase is not Phase.GONE]
            own = self._likeness.introduction(sum(w.depth if w.introduction else usual for w in left))
            self._dispatch = Dispatch(self._workers, own.documents, self._likeness.kinds)
            self._served = {document.name for document in own.documents}
            self._out.add({"protocol": PROTOCOLS[0], **own.words, "parallel": min(own.parallel, MOST_PARALLEL)})
            self._reported_at = time.monotonic()
            tell(f"{own.judge}; {counted(len(own.documents), 'document')}, {counted(len(left), 'worker')}")
        if self._dispatch is not None and (kind := self._likeness.missing_kind(self._workers)) is not None:
            self._give_up(f"no worker of kind {kind} is left, and others answer otherwise")

    def _wants_requests(self) -> bool:
        """What is not read waits in its pipe."""
        most = 4 * sum(worker.depth for worker in self._workers)
        return self._dispatch is not None and self._reading and self._work.backlog < max(LEAST_BACKLOG, most)

    def _read_requests(self) -> None:
        if not self._wants_requests() or not is_ready(self._requests):
            return
        data = os.read(self._requests, CHUNK)
        for line in self._lines.add(data or b"\n"):
            if line is None:
                self._out.add({"id": None, "error": f"a request of more than {REQUEST_LIMIT} bytes"})
            elif line.strip():
                self._take(line)
        self._reading = bool(data)

    def _take(self, line: bytes) -> None:
        name: Any = None
        try:
            request = parse_request(line)
            name = _checked_name(request.get("id"))
            self._work.add(judge_request(request, self._served), request)
        except ToolError as error:
            self._out.add({"id": name, "error": str(error)})

    def _report(self) -> None:
        now = time.monotonic()
        minutes = (now - self._reported_at) / 60
        if 60 * minutes < REPORT_AFTER or self._answered == self._reported:
            return
        ready = sum(worker.phase is Phase.READY for worker in self._workers)
        pace = (self._answered - self._reported) / minutes
        self._reported, self._reported_at = self._answered, now
        tell(
            f"{ready} of {counted(len(self._workers), 'worker')} there; {counted(self._answered, 'question')} "
            f"answered, {pace:.0f} a minute; a worker was lost {counted(self._losses, 'time')}"
        )


def _checked_name(name: Any) -> Any:
    """A request's id, which its answer has."""
    try:
        if len(json.dumps(name, allow_nan=False)) <= LONGEST_NAME:
            return name
    except (ValueError, RecursionError):
        pass
    raise ToolError(f'the "id" is no JSON, or longer than {LONGEST_NAME} characters')
