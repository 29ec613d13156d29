"""Who is asked what: pieces of requests to the workers that their documents are at home with."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from evictlab_tools.farm.introduction import Document
from evictlab_tools.farm.placement import Placement, kind_of
from evictlab_tools.farm.work import Piece, Work
from evictlab_tools.farm.worker import Phase, Worker


@dataclass
class Dispatch:
    """Nothing that is asked depends on who answers it: the order of asking, and by whom, may be any."""

    workers: Sequence[Worker]
    documents: Sequence[Document]
    kinds: Sequence[str] = ()
    _last_number: int = 0

    def __post_init__(self) -> None:
        self._placement = Placement(self.documents, len(self.workers))

    def assign(self, work: Work) -> None:
        """As much as the workers may have open now."""
        ready = [worker for worker in self.workers if worker.phase is Phase.READY and not worker.trial]
        for scorer in [scorer for scorer in work.suspects if scorer not in work.trials]:
            worker = self._least_busy(work.suspects[scorer][0], ready)
            if worker is None:
                continue
            ready.remove(worker)  # where it has something open, that comes first, and nothing else is added
            if not worker.open:
                self._ask(worker, work.begin_trial(scorer), alone=True)
        self._assign_others(work, ready)

    def _assign_others(self, work: Work, ready: list[Worker]) -> None:
        left: deque[Piece] = deque()
        while work.waiting:
            free = [worker for worker in ready if len(worker.open) < worker.depth]
            if not free:
                break
            piece = work.waiting.popleft()
            if piece.idle:
                continue
            worker = None if work.is_suspected(piece.scorer) else self._least_busy(piece, ready)
            if worker is not None and len(worker.open) < worker.depth:
                self._ask(worker, piece)
            else:
                left.append(piece)
        left.extend(work.waiting)
        work.waiting = left

    def _least_busy(self, piece: Piece, ready: Sequence[Worker]) -> Worker | None:
        """Of the document's homes, by the number of requests for each that it takes in parallel."""
        kind = kind_of(piece.document, self.kinds) if self.kinds else ""
        by_place = {worker.place: worker for worker in self.workers if worker.phase is Phase.READY}
        present = {place for place, worker in by_place.items() if not self.kinds or worker.kind == kind}
        homes = [by_place[place] for place in self._placement.homes_of(piece.document, present)]
        free = [worker for worker in homes if worker in ready]
        return min(free, key=lambda worker: len(worker.open) / worker.depth) if free else None

    def _ask(self, worker: Worker, piece: Piece, *, alone: bool = False) -> None:
        self._last_number += 1
        worker.ask(self._last_number, piece, alone=alone)
