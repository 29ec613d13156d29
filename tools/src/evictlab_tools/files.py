"""Files: written whole or not at all, hashed, and JSON with messages that name the file."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evictlab_tools.errors import ToolError, UsageError


def sha256_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


MOST_BYTES = 1 << 30  # of a file that is read whole


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """A file's content, or a pipe's, of so many bytes at most; ToolError for what is neither, as a device."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise ToolError(f"{path}: is {'a folder' if stat.S_ISDIR(mode) else 'a device or socket'}, not a file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise ToolError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise ToolError(f"{path}: larger than {most >> 20} MiB: not a file for this")
    return data


def write_whole(path: Path, data: bytes | Iterable[bytes | bytearray | memoryview]) -> None:
    """Replaces the file in one step: who reads it, or is stopped, never meets half a file. A link stays a link.

    Parts are asked for as they are written.
    """
    target = path.resolve()
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except FileExistsError:
        raise ToolError(f"{part}: is there already, left by a process that was killed: remove it") from None
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ToolError(f"{path}: cannot be written: {error.strerror}") from None


def _same_file(left: Path, right: Path) -> bool:
    try:
        return left.samefile(right)
    except OSError:
        return left.resolve() == right.resolve()


def check_output(output: Path, inputs: Iterable[Path], option: str = "--output") -> None:
    """Refuses to write over a file that is read, or that lies in a folder that is, by whatever path or name."""
    for given in inputs:
        for read in [given, *(sorted(given.iterdir()) if given.is_dir() else [])]:
            if _same_file(output, read):
                raise UsageError(
                    f"{option} {str(output)!r} is a file that this command reads ({str(read)!r}), and is not "
                    "overwritten: name another one"
                )


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ToolError(f"{path}: not valid JSON: {error}") from None
