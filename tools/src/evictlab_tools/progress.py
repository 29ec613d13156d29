"""How far long work has come, on standard error: a bar with an ETA on a terminal, plain lines elsewhere."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from evictlab_tools.shown import say, shown

LINE_AFTER = 10.0  # seconds, between plain lines; evictlab's own


class Progress:
    """Of `total` steps, `done` of which were finished before. For one thread."""

    def __init__(self, label: str, total: int, *, done: int = 0, unit: str) -> None:
        self.label, self.total, self.done, self.unit = shown(label), total, done, unit
        self.started = self.last = time.monotonic()
        self.before = done
        terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=done, unit=unit, desc=self.label) if terminal else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def at(self, label: str) -> None:
        """What is being worked on."""
        self.label = shown(label)
        if self.bar is not None:
            self.bar.set_description(self.label)

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        now = time.monotonic()
        if self.bar is not None:
            self.bar.update(steps)
        elif now - self.last >= LINE_AFTER:
            self.last = now
            say(self._line(now - self.started), file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        share = f"{self.done} of {self.total} {self.unit}s after {tqdm.format_interval(seconds)}"
        new = self.done - self.before
        left = f", about {tqdm.format_interval(seconds / new * (self.total - self.done))} left" if new > 0 else ""
        return f"{self.label}: {share}{left}"

    def say(self, message: str) -> None:
        """A line of its own, which leaves a bar whole."""
        tqdm.write(shown(message, lines=True), file=sys.stderr)
