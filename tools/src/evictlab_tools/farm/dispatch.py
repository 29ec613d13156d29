"""Who is asked what: pieces of requests to the workers that their documents are at home with."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from evictlab_tools.farm.introduction import Document
from evictlab_tools.farm.placement import Placement, kind_of
from evictlab_tools.farm.work import MOST_LOSSES, Piece, Work
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
        suspects = {pieces[0].scorer: pieces[0] for pieces in work.suspects.values()}
        for scorer, piece in sorted(suspects.items(), key=lambda item: -item[1].losses):
            worker = None if scorer in work.trials else self._for_trial(piece, ready)
            if worker is None:
                continue
            ready.remove(worker)  # where it has something open, that comes first, and nothing else is added
            if worker.open:
                continue
            if _is_last_trial(piece) and worker.asked > 0:
                worker.renew()
            else:
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

    def _for_trial(self, piece: Piece, ready: Sequence[Worker]) -> Worker | None:
        """The last trial, which decides, is at a worker that was asked nothing else since its start: a judge that dies
        of its age, say of lost memory, must not count. One that comes back will be such a worker."""
        if _is_last_trial(piece):
            new = [worker for worker in ready if worker.asked == 0 and self._judges(worker, piece)]
            if new or any(worker.comes_back for worker in self.workers):
                return new[0] if new else None
        return self._least_busy(piece, ready)

    def _judges(self, worker: Worker, piece: Piece) -> bool:
        return not self.kinds or worker.kind == kind_of(piece.document, self.kinds)

    def _least_busy(self, piece: Piece, ready: Sequence[Worker]) -> Worker | None:
        """Of the document's homes, by the number of requests for each that it takes in parallel."""
        by_place = {worker.place: worker for worker in self.workers if worker.phase is Phase.READY}
        present = {place for place, worker in by_place.items() if self._judges(worker, piece)}
        homes = [by_place[place] for place in self._placement.homes_of(piece.document, present)]
        free = [worker for worker in homes if worker in ready]
        return min(free, key=lambda worker: len(worker.open) / worker.depth) if free else None

    def _ask(self, worker: Worker, piece: Piece, *, alone: bool = False) -> None:
        self._last_number += 1
        worker.ask(self._last_number, piece, alone=alone)


def _is_last_trial(piece: Piece) -> bool:
    return piece.losses == MOST_LOSSES - 1
