"""A suite's folder: its traces, suite.json, and what of it is finished when a capture goes on after a stop."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.files import read_json, sha256_of_file, write_json, write_whole
from evictlab_tools.made import made
from evictlab_tools.shard import Shard, files_of_shards

SUITE_FORMAT = "evictlab-suite/1"
SUITE_FILE = "suite.json"
PROGRESS_FILE = "capture-progress.json"
MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class FinishedFile:
    sha256: str
    parameters: str  # hash of all that the file's content follows from
    uncompressed: dict[str, Any] | None = None  # of a trace: what the model makes of the document
    reconstruction: dict[str, Any] | None = None  # of a trace: the entry of its second pass's file


def companion_name(trace: str) -> str:
    """Of the file with the second pass of a trace's file."""
    return trace.removesuffix(".safetensors") + ".reconstruction.safetensors"


def would_overwrite(folder: Path, read: Path) -> bool:
    """Whether a suite that is written into the folder may take the place of this file, or of files of this folder."""
    place, at = folder.resolve(), read.resolve()
    written = at.suffix == ".safetensors" or at.name == SUITE_FILE or at.name.startswith(PROGRESS_FILE)
    return at == place or (written and at.parent == place)


Piece = bytes | bytearray | memoryview


def _hashed(data: Iterable[Piece], digest: Any) -> Iterator[Piece]:
    for piece in data:
        digest.update(piece)
        yield piece


class SuiteFolder:
    """Files are written whole and noted in capture-progress.json, which suite.json replaces in the end. A shard has
    notes of its own, so that many may write at once; all are read."""

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._notes = folder / PROGRESS_FILE if shard is None else shard.beside(folder / PROGRESS_FILE)
        self._finished: dict[str, FinishedFile] = {}  # what entry() tells
        self._noted: dict[str, list[FinishedFile]] = {}  # all that notes say of a file: those of shards may be older
        for path in (folder / SUITE_FILE, folder / PROGRESS_FILE, *files_of_shards(folder / PROGRESS_FILE)):
            if path.exists():
                self._take_notes(path)

    def _take_notes(self, path: Path) -> None:
        notes = read_json(path)
        try:
            entries = notes["files"] + ([notes["model_file"]] if "model_file" in notes else [])
            for entry in entries:
                if Path(entry["file"]).name != entry["file"]:
                    raise ToolError(f"{path}: the file {entry['file']!r} does not lie in its folder")
                note = FinishedFile(
                    entry["sha256"], entry["parameters"], entry.get("uncompressed"), entry.get("reconstruction")
                )
                self._finished[entry["file"]] = note
                self._noted.setdefault(entry["file"], []).append(note)
        except (KeyError, TypeError):
            raise ToolError(f"{path}: not written by this version of evictlab-capture; choose another folder") from None

    def entry(self, file: str) -> dict[str, Any]:
        """The file as suite.json lists it."""
        note = self._finished[file]
        more = {"uncompressed": note.uncompressed, "reconstruction": note.reconstruction}
        more = {field: value for field, value in more.items() if value is not None}
        return {"file": file, "sha256": note.sha256, "parameters": note.parameters, **more}

    def says_uncompressed(self, file: str) -> bool:
        """Whether the file's note has what the model makes of the document; those of older captures have not."""
        return file in self._finished and self._finished[file].uncompressed is not None

    def is_finished(self, file: str, parameters: str) -> bool:
        """Whether the file is there, follows from these parameters and is as it was written."""
        path = self.folder / file
        alike = [note for note in self._noted.get(file, []) if note.parameters == parameters]
        digest = sha256_of_file(path) if alike and path.is_file() else None
        for note in alike:
            if note.sha256 == digest:
                self._finished[file] = note
                return True
        return False

    def write(
        self, file: str, parameters: str, data: Iterable[Piece], uncompressed: dict[str, Any] | None = None
    ) -> None:
        """In parts, which are asked for as they are written."""
        digest = hashlib.sha256()
        write_whole(self.folder / file, _hashed(data, digest))
        (self.folder / companion_name(file)).unlink(missing_ok=True)  # was of the trace that was there
        self._finished[file] = FinishedFile(digest.hexdigest(), parameters, uncompressed)
        self._noted[file] = [self._finished[file]]
        write_json(self._notes, {"files": [self.entry(name) for name in sorted(self._finished)]})

    @staticmethod
    def _says(path: Path, whole: dict[str, Any]) -> bool:
        """Whether the file does already: a suite that a capture finds finished stays as it was made."""
        before = read_json(path) if path.exists() else {}
        return {key: value for key, value in before.items() if key != "made"} == whole

    def finish(self, description: dict[str, Any], files: list[str]) -> None:
        """Writes suite.json, and removes files of an earlier capture that are not of the suite any more."""
        path, whole = self.folder / SUITE_FILE, {"format": SUITE_FORMAT, **description}
        if not self._says(path, whole):
            write_json(path, {**whole, "made": made()})
        for file in set(self._finished) - set(files):
            for stale in (file, companion_name(file)):
                (self.folder / stale).unlink(missing_ok=True)
        for notes in (self.folder / PROGRESS_FILE, *files_of_shards(self.folder / PROGRESS_FILE)):
            notes.unlink(missing_ok=True)
