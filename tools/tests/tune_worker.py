"""Tuning as a program, of a tiny random model: evictlab-tune INPUT... OPTION..., as with --serve that of a worker.

With TUNE_HOLD_AFTER=N in its environment it writes N lines of its journal, and then waits to be struck.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial

from conftest import make_source

from evictlab_tools.journal import LineJournal
from evictlab_tools.tuning import command


def hold_after(lines: int) -> None:
    note = LineJournal.add

    def held(self: LineJournal, value: dict[str, object]) -> None:
        nonlocal lines
        if lines == 0:
            time.sleep(60)
        lines -= 1
        note(self, value)

    LineJournal.add = held  # type: ignore[method-assign]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may have it ignored
    if "TUNE_HOLD_AFTER" in os.environ:
        hold_after(int(os.environ["TUNE_HOLD_AFTER"]))
    vars(command)["open_model"] = lambda *_: make_source("llama")
    vars(command)["command"] = partial(command.command, ["tiny", *sys.argv[1:]])
    command.main()
