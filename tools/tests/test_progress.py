"""Progress of long work where there is no terminal."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import pytest

from evictlab_tools.progress import Progress


def test_plain_lines_say_how_far_and_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([100.0, 104.0, 130.0, 135.0, 160.0])
    monkeypatch.setattr("evictlab_tools.progress.time.monotonic", lambda: next(seconds))
    with Progress("suite", 12, done=2, unit="run") as shown:
        shown.advance()
        shown.at("suite/one")
        shown.advance(4)
        shown.advance()
        shown.say("error: one row is left out")
        shown.advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "suite/one: 7 of 12 runs after 00:30, about 00:30 left",
        "error: one row is left out",
        "suite/one: 12 of 12 runs after 01:00, about 00:00 left",
    ]
