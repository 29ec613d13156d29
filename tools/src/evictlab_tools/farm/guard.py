"""What keeps workers from outliving the farm, however it ends: two small programs of the standard library alone.

`watch` runs in a session of its own. It reads process groups, +ID and -ID, a line each, and where its input ends kills
those that are left. `start` tells it of its own group, and then becomes the worker's shell: as long as it has not
told, it holds that input open, so that no worker is ever unknown to a guard that ends.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def program(*arguments: str) -> list[str]:
    """The command line of one of the two."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), *arguments]


class Guard:
    """The farm's end of it. Whoever ends the farm closes `descriptor`, which no worker inherits past its start."""

    def __init__(self) -> None:
        reading, self.descriptor = os.pipe()
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            program("watch"), stdin=reading, stdout=quiet, stderr=quiet, start_new_session=True
        )
        os.close(reading)

    def forget(self, group: int) -> None:
        """Of a worker that is over, before its number is free."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.descriptor, f"-{group}\n".encode())

    def close(self) -> None:
        os.close(self.descriptor)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)


def _watch() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _start(descriptor: int, command: str) -> None:
    try:
        os.write(descriptor, f"+{os.getpid()}\n".encode())
    except OSError:
        sys.exit("the farm's guard is gone, without which no worker is started")
    os.close(descriptor)
    for name in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(name, signal.SIG_DFL)
    os.execv("/bin/sh", ["sh", "-c", command])


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        _watch()
    else:
        _start(int(sys.argv[2]), sys.argv[3])
