"""What is finished, one JSON line each, below a header: work that was stopped goes on from it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from evictlab_tools.errors import ToolError


class LineJournal:
    """Appends a line when something is done. `basis` is what all lines follow from (the weights, the version)."""

    def __init__(self, path: Path, form: str, program: str, basis: dict[str, Any]) -> None:
        self.path, self._program = path, program
        if path.exists() and not path.is_file():
            raise ToolError(f"{path}: is no file; name another one with --journal")
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        header = {"format": form, **basis}
        self.entries = self._read(whole, header) if whole else []
        if not whole and not b'{"format": '.startswith(data[:11]):
            raise self.foreign()
        if len(whole) < len(data):  # a last line that a stop cut short
            os.truncate(path, len(whole))
        self._file = path.open("a", encoding="utf-8")
        if not whole:
            self.add(header)

    def foreign(self) -> ToolError:
        return ToolError(f"{self.path}: not a journal of {self._program}; name another file with --journal")

    def _read(self, whole: bytes, expected: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            header, *entries = (json.loads(line) for line in whole.decode("utf-8").splitlines())
        except ValueError:  # of JSON and of UTF-8
            raise self.foreign() from None
        if not all(isinstance(entry, dict) for entry in (header, *entries)) or header.get("format") is None:
            raise self.foreign()
        if header != expected:
            raise ToolError(
                f"{self.path}: is of another model, version or options; remove it, or choose another --output"
            )
        return entries

    def add(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
