"""Several judges as one, for evictlab-tune: documents of several models, all of which say where to go."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from evictlab_tools.errors import UsageError
from evictlab_tools.tuning.asked import Asked
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.place import Seed
from evictlab_tools.tuning.pull import Pull

T = TypeVar("T")
A = TypeVar("A")


class Together:
    """Judges at work at the same time, each on its own documents, which are named N/NAME, N counting judges from 1.

    Documents are listed by turns, one of each judge, so that the first few of them are of all. What is asked is
    answered in the order asked, whatever the judges' pace.
    """

    def __init__(self, commands: Sequence[str]) -> None:
        with ExitStack() as opened:
            self._judges = [opened.enter_context(Asked(command)) for command in commands]
            names = [judge.judge for judge in self._judges]
            for number, name in enumerate(names):
                if name in names[:number]:
                    first = names.index(name) + 1
                    raise UsageError(
                        f"--judge {first} and {number + 1} are the same judge, '{name}': its documents would count "
                        "twice; for many workers of one judge give one --judge with an evictlab-farm"
                    )
            self._opened = opened.pop_all()
        self.judge = "; ".join(names)
        ways = [[f"{at}/{name}" for name, _ in judge.documents] for at, judge in enumerate(self._judges, 1)]
        splits = [[split for _, split in judge.documents] for judge in self._judges]
        self.documents = [
            (ways[at][turn], splits[at][turn])
            for turn in range(max(map(len, ways)))
            for at in range(len(ways))
            if turn < len(ways[at])
        ]

    @property
    def basis(self) -> dict[str, Any]:
        return {"judges": [judge.basis for judge in self._judges]}

    def parts(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Places of these documents, by judge."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            found.setdefault(f"judge {name.partition('/')[0]}", []).append(place)
        return found

    def __enter__(self) -> Together:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def pulls(self, point: Point, retentions: Sequence[float], asked: Sequence[tuple[str, Seed]]) -> Iterator[Pull]:
        return self._shared(asked, lambda judge, own: judge.pulls(point, retentions, own))

    def divergences(
        self, asked: Sequence[tuple[str, Sequence[str]]], retentions: Sequence[float]
    ) -> Iterator[list[Doubles]]:
        return self._shared(asked, lambda judge, own: judge.divergences(own, retentions))

    def _shared(
        self, asked: Sequence[tuple[str, A]], ask: Callable[[Asked, list[tuple[str, A]]], Iterator[T]]
    ) -> Iterator[T]:
        """Each judge in a thread of its own, which ends with what was asked of it, or with the process."""
        own: list[list[tuple[str, A]]] = [[] for _ in self._judges]
        order = []
        for name, what in asked:
            number, _, plain = name.partition("/")
            order.append(int(number) - 1)
            own[order[-1]].append((plain, what))
        found: list[SimpleQueue[T | BaseException]] = [SimpleQueue() for _ in self._judges]

        def answer(at: int) -> None:
            try:
                for one in ask(self._judges[at], own[at]):
                    found[at].put(one)
            except BaseException as error:
                found[at].put(error)

        for at, wanted in enumerate(own):
            if wanted:
                threading.Thread(target=answer, args=(at,), daemon=True).start()
        for at in order:
            one = found[at].get()
            if isinstance(one, BaseException):
                raise one
            yield one


def asked_of(commands: Sequence[str]) -> Asked | Together:
    return Asked(commands[0]) if len(commands) == 1 else Together(commands)
