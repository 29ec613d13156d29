"""Python tools of Evictlab: what needs the model itself."""
# SPDX-License-Identifier: MIT

from pathlib import Path

__version__ = (Path(__file__).parent / "VERSION").read_text(encoding="ascii").strip()
