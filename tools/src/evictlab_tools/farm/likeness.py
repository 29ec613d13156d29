"""Whether workers are the same judge: by what they say of themselves, and by the digits of their answers."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from evictlab_tools.farm.introduction import Introduction, difference, kind_name
from evictlab_tools.farm.worker import Phase, Worker

MIXED = "judged by kinds of workers"


@dataclass
class Likeness:
    """All are compared with the first worker in order that could be started, whichever was there first."""

    mixed: bool
    tell: Callable[[str], None]
    like: Introduction | None = None  # what all must introduce themselves as
    name: str = ""  # of the worker that said so
    figures: list[float] = field(default_factory=list)  # what it answered to the probe question
    kinds: tuple[str, ...] = ()  # with `mixed`; sorted

    def compare(self, workers: Sequence[Worker]) -> None:
        """Lets those work that are alike, and refuses the others."""
        if self.like is None:
            self._find_reference(workers)
        if self.like is None:
            return
        for worker in workers:
            if worker.phase is not Phase.PROBED:
                continue
            if (why := self._refusal(worker)) is not None:
                worker.refuse(why)
                continue
            worker.phase = Phase.READY
            self.tell(f"{worker.name} is there" + (f", of kind {worker.kind}" if self.mixed else ""))

    def _find_reference(self, workers: Sequence[Worker]) -> None:
        started = []
        for worker in workers:
            if worker.phase is Phase.PROBED:
                started.append(worker)
            elif worker.fresh and (self.mixed or not started):
                return  # it may become the reference, or bring a kind
        if not started:
            return
        self.like, self.figures, self.name = started[0].introduction, started[0].probed or [], started[0].name
        if self.mixed:
            alike = [worker for worker in started if self._difference(worker) is None]
            self.kinds = tuple(sorted({kind_name(worker.probed or []) for worker in alike}))

    def _difference(self, worker: Worker) -> str | None:
        assert self.like is not None and worker.introduction is not None
        why = difference(self.like, worker.introduction)
        return None if why is None else f"{why}, unlike {self.name}, which is '{self.like.judge}'"

    def _refusal(self, worker: Worker) -> str | None:
        if (why := self._difference(worker)) is not None:
            return why
        figures = worker.probed or []
        if not self.mixed:
            if figures == self.figures:
                return None
            one, other = next((a, b) for a, b in zip(figures, self.figures, strict=True) if a != b)
            return (
                f"answers the probe question with {one:.17g} where {self.name} says {other:.17g}: another kind of "
                "processor or of libraries, which rounds otherwise (--mixed takes both, as another judge)"
            )
        worker.kind = kind_name(figures)
        if worker.kind in self.kinds:
            return None
        return f"is of kind {worker.kind} by its answer to the probe question, and the farm began with {self._kinds()}"

    def _kinds(self) -> str:
        return " and ".join(self.kinds)

    def introduction(self, parallel: int) -> Introduction:
        """The farm's own."""
        assert self.like is not None
        judge = f"{self.like.judge}, {MIXED} {self._kinds()}" if self.mixed else self.like.judge
        return replace(self.like, words={**self.like.words, "judge": judge}, parallel=parallel)

    def missing_kind(self, workers: Sequence[Worker]) -> str | None:
        """One of which no worker is left."""
        left = {worker.kind for worker in workers if worker.phase is not Phase.GONE}
        return next((kind for kind in self.kinds if kind not in left), None)
