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
        self._header = {"format": form, **basis}
        if path.exists() and not path.is_file():
            raise ToolError(f"{path}: is no file; name another one with --journal")
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        self.entries = self._read(path, whole) if whole else []
        if not whole and not b'{"format": '.startswith(data[:11]):
            raise self.foreign()
        if len(whole) < len(data):  # a last line that a stop cut short
            os.truncate(path, len(whole))
        self._file = path.open("a", encoding="utf-8")
        if not whole:
            self.add(self._header)

    def foreign(self, path: Path | None = None) -> ToolError:
        return ToolError(f"{path or self.path}: not a journal of {self._program}; name another file with --journal")

    def entries_of(self, path: Path) -> list[dict[str, Any]]:
        """Of another journal of the same work, which its own process may be writing still."""
        data = path.read_bytes()
        return self._read(path, data[: data.rfind(b"\n") + 1])

    def _read(self, path: Path, whole: bytes) -> list[dict[str, Any]]:
        try:
            header, *entries = (json.loads(line) for line in whole.decode("utf-8").splitlines())
        except ValueError:  # of JSON and of UTF-8
            raise self.foreign(path) from None
        if not all(isinstance(entry, dict) for entry in (header, *entries)) or header.get("format") is None:
            raise self.foreign(path)
        if header != self._header:
            raise ToolError(f"{path}: is of another model, version or options; remove it, or choose another --output")
        return entries

    def add(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
