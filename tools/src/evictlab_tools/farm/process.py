"""A worker's process: lines to it and from it, without ever waiting, and its end in words."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import IO

from evictlab_tools.farm.guard import Guard, program
from evictlab_tools.farm.pipes import CHUNK, Lines

LINE_LIMIT = 1 << 24  # bytes of a line that is read
AFTER_OUTPUT = 3.0  # seconds from closing its output to its end
AFTER_END = 1.0  # seconds that what it wrote before its end may take to come
ERROR_LINES, ERROR_LINES_A_SECOND = 50.0, 5.0  # of its standard error, that are passed on


class WorkerFailure(Exception):
    """Why nothing more can be had from a worker, in words that fit behind its name."""


class _Allowance:
    """Lines a second that may be told, after a first burst; and how many were not."""

    def __init__(self) -> None:
        self._left, self._at, self.left_out = ERROR_LINES, time.monotonic(), 0

    def takes(self) -> bool:
        now = time.monotonic()
        self._left = min(ERROR_LINES, self._left + (now - self._at) * ERROR_LINES_A_SECOND)
        self._at = now
        if self._left < 1:
            self.left_out += 1
            return False
        self._left -= 1
        return True


def _status_in_words(status: int) -> str:
    """Of Popen's: below 0 is a signal."""
    if status < 0:
        return f"was killed by signal {-status} ({signal.strsignal(-status)})"
    return f"ended with exit status {status}" + (" (the shell found no such command)" if status == 127 else "")


class WorkerProcess:
    """`sh -c COMMAND` in a session of its own, known to the guard. Not thread-safe; reads and writes never wait."""

    def __init__(self, command: str, guard: Guard, tell: Callable[[str], None]) -> None:
        """`tell` is given what it writes to standard error, a line at a time, as long as that is no flood."""
        self._guard, self._tell = guard, tell
        self._process = subprocess.Popen(
            program("start", str(guard.descriptor), command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[guard.descriptor],
            start_new_session=True,
        )
        self._input, self._output, self._errors = (self._pipe(p) for p in ("stdin", "stdout", "stderr"))
        self._to_write = bytearray()
        self._lines, self._error_lines = Lines(LINE_LIMIT), Lines(1000)
        self._allowance = _Allowance()
        self.last_words: deque[str] = deque(maxlen=3)  # of its standard error
        self._over_since: float | None = None  # when its output was closed, or it ended

    def _pipe(self, name: str) -> int | None:
        pipe: IO[bytes] = getattr(self._process, name)
        descriptor = os.dup(pipe.fileno())
        pipe.close()
        os.set_blocking(descriptor, False)
        return descriptor

    def watched(self) -> Iterator[tuple[int, int]]:
        """What to poll for, as (descriptor, events)."""
        if self._input is not None and self._to_write:
            yield self._input, select.POLLOUT
        for reading in (self._output, self._errors):
            if reading is not None:
                yield reading, select.POLLIN

    def send(self, line: str) -> None:
        """What it does not take now goes on its way in step()."""
        if self._input is not None:
            self._to_write += line.encode() + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            while self._to_write and self._input is not None:
                del self._to_write[: os.write(self._input, self._to_write[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:  # it does not read any more; why shows at its output
            self.close_input()

    def step(self) -> list[bytes]:
        """The lines that came. WorkerFailure once it is over and all that it wrote was given, or one is too long."""
        self._flush()
        self._read_errors()
        lines = []
        data = self._read(self._output)
        if data == b"":
            self._output = self._closed(self._output)
        for line in self._lines.add(data or b""):
            if line is not None:
                lines.append(line)
        if self._lines.too_long:
            raise WorkerFailure(f"wrote a line of more than {LINE_LIMIT} bytes")
        if not lines:
            self._look_for_end()
        return lines

    @staticmethod
    def _read(descriptor: int | None) -> bytes | None:
        """b"" at its end, None where nothing is there now."""
        if descriptor is None:
            return None
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            return None

    @staticmethod
    def _closed(descriptor: int | None) -> None:
        if descriptor is not None:
            os.close(descriptor)

    def _read_errors(self) -> None:
        data = self._read(self._errors)
        if data == b"":
            self._errors = self._closed(self._errors)
        for line in self._error_lines.add(data or b""):
            words = "(a long line)" if line is None else line.decode(errors="replace").rstrip()
            if not words:
                continue
            self.last_words.append(words)
            if self._allowance.takes():
                if self._allowance.left_out:
                    self._tell(f"({self._allowance.left_out} lines of its standard error are left out)")
                    self._allowance.left_out = 0
                self._tell(words)

    @property
    def ending(self) -> bool:
        """It has to be looked at often."""
        return self._over_since is not None

    def ended(self) -> bool:
        """Without taking its number from it."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _look_for_end(self) -> None:
        ended = self.ended()
        if ended and self._over_since is None:
            self.signal(signal.SIGKILL)  # what else is of its group holds its output open
        if not ended and self._output is not None:
            return
        now = time.monotonic()
        self._over_since = self._over_since or now
        if ended and (self._output is None or now > self._over_since + AFTER_END):
            raise WorkerFailure(_status_in_words(self.close()))
        if not ended and now > self._over_since + AFTER_OUTPUT:
            raise WorkerFailure("closed its standard output and went on")

    def signal(self, number: int) -> None:
        """To its group, unless it is closed."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, number)

    def close_input(self) -> None:
        self._input = self._closed(self._input)
        self._to_write.clear()

    def close(self) -> int:
        """Kills what is left of it; how it ended, as Popen has it."""
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                # No signal is sent to a number that is free: the guard forgets it before it is.
                self._wait_without_reaping(5)
                self._guard.forget(self._process.pid)
                self._process.wait(5)
        self._read_errors()
        self.close_input()
        self._output, self._errors = self._closed(self._output), self._closed(self._errors)
        return self._process.returncode or 0

    def _wait_without_reaping(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a worker", seconds)
            time.sleep(0.002)
