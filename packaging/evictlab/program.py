"""`evictlab` as the package brings it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent / "bin" / "evictlab"


def main() -> None:
    """Becomes the program."""
    os.execv(PROGRAM, [str(PROGRAM), *sys.argv[1:]])
