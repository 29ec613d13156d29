"""JSON Lines between evictlab and the services that it starts: answers on a standard output that is theirs alone."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from evictlab_tools.errors import ToolError


def parse_request(line: bytes) -> dict[str, Any]:
    """A request with its id; ToolError where the line is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"not a line of JSON: {error}") from None
    if not isinstance(request, dict):
        raise ToolError("a request is a JSON object")
    return request


class LineWriter:
    """One JSON object a line, to a file descriptor. Threads may share it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = Lock()

    def write(self, value: dict[str, Any]) -> None:
        """Where nobody reads any more, nothing."""
        data = (json.dumps(value, allow_nan=False) + "\n").encode()
        with self._lock:
            try:
                while data:
                    data = data[os.write(self.descriptor, data) :]
            except BrokenPipeError:
                pass

    @property
    def closed(self) -> bool:
        """Whether the reader of a pipe is gone."""
        poll = select.poll()
        poll.register(self.descriptor, 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


@contextmanager
def own_stdout() -> Iterator[LineWriter]:
    """Standard output for lines alone: what libraries print meanwhile goes to standard error."""
    sys.stdout.flush()
    lines = os.dup(1)
    os.dup2(2, 1)
    try:
        yield LineWriter(lines)
    finally:
        sys.stdout.flush()
        os.dup2(lines, 1)
        os.close(lines)
