"""Who made a result, and when: what JSON that the tools write says in its field "made"."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from evictlab_tools import __version__

HERE = Path(__file__).resolve().parent


@cache
def commit() -> str | None:
    """Of the sources that run; None where they lie in no checkout of their own."""
    root = HERE.parents[2]
    if not (root / ".git").exists() or (root / "tools" / "src" / HERE.name).resolve() != HERE:
        return None
    try:
        done = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None


def date() -> str:
    """UTC now, or SOURCE_DATE_EPOCH's where that is set, so that equal runs give equal bytes."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(given), timezone.utc) if given.isdecimal() else datetime.now(timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def made() -> dict[str, str]:
    found = {"version": __version__, "date": date()}
    return found if (known := commit()) is None else {**found, "commit": known}
