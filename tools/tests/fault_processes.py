"""Processes by a mark in their environment, which their children have, too: what a run has started, and nobody else."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    number: int
    words: tuple[str, ...]  # of its command line

    @property
    def program(self) -> str:
        return Path(self.words[0]).name

    def send(self, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.number, what)


def marked(mark: str) -> list[Process]:
    """Those that live, with NAME=VALUE in their environment."""
    found, wanted = [], mark.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                if words and (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                    found.append(Process(int(folder.name), tuple(words)))
    return found


def kill_all(mark: str) -> None:
    while left := marked(mark):
        for one in left:
            one.send(signal.SIGKILL)
        time.sleep(0.05)


def all_end(mark: str, seconds: float) -> Sequence[Process]:
    """Those that have not ended by then."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    return left
