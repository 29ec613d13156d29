"""Lines from pipes and to them, without ever waiting."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

CHUNK = 1 << 16
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Lines:
    """Bytes in pieces, as lines."""

    def __init__(self, limit: int) -> None:
        self._limit, self._parts, self._length = limit, list[bytes](), 0

    def add(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that are whole now; None in place of one that is too long, of which the rest is left out."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._keep(line)
            yield b"".join(self._parts) if self._length <= self._limit else None
            self._parts, self._length = [], 0
        self._keep(rest)

    @property
    def too_long(self) -> bool:
        """The line that is not whole yet."""
        return self._length > self._limit

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > self._limit:
            self._parts = []
        elif part:
            self._parts.append(part)


def is_ready(descriptor: int) -> bool:
    """Whether reading from it does not wait."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Outgoing:
    """JSON Lines to a descriptor that others may share, which therefore stays a blocking one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._data = descriptor, bytearray()
        self._poll = select.poll()

    def add(self, value: dict[str, Any]) -> None:
        self._data += (json.dumps(value, allow_nan=False) + "\n").encode()

    def __bool__(self) -> bool:
        return bool(self._data)

    def watched(self) -> tuple[int, int]:
        return self._descriptor, select.POLLOUT if self._data else 0

    def write_some(self) -> bool:
        """Whether anybody reads it still."""
        while True:
            self._poll.register(*self.watched())
            events = dict(self._poll.poll(0)).get(self._descriptor, 0)
            if events & (select.POLLERR | select.POLLNVAL):
                return False
            if not self._data or not events & select.POLLOUT:
                return True
            try:  # what a pipe that is ready takes without waiting
                del self._data[: os.write(self._descriptor, self._data[: select.PIPE_BUF])]
            except BrokenPipeError:
                return False


class Signals:
    """The signals that end a program, as a descriptor to poll; children's ends wake it, too."""

    def __init__(self) -> None:
        self.descriptor, self._writing = os.pipe()
        for descriptor in (self.descriptor, self._writing):
            os.set_blocking(descriptor, False)
        self.received: int | None = None

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._receive) for number in (*ENDING, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._writing)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if number in ENDING:
            self.received = number

    def drain(self) -> None:
        try:
            while os.read(self.descriptor, CHUNK):
                pass
        except BlockingIOError:
            pass
