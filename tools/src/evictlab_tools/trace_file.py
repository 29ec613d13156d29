"""Trace files, as docs/traces.md describes them: quantisation, writing, reading."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from evictlab_tools.errors import ToolError
from evictlab_tools.spill import SpillFile

TRACE_FORMAT = "evictlab-trace/1"
DTYPES = ("f16", "i8", "f32")
I8_MAX = 127
Array = NDArray[Any]
Floats = NDArray[np.float32]


def quantise(values: Floats) -> tuple[NDArray[np.int8], Array]:
    """[H][N][d] as I8 with a scale [H][N]: value ~ scale * stored, off by at most half a scale.

    The scale is F16, rounded up so that nothing is clipped, or F32 where F16 has no normal number for it. What is
    needed beside is as large as one head.
    """
    exact = np.stack([np.abs(head).max(-1) for head in values]) / np.float32(I8_MAX)
    exact[exact == 0] = 1
    limits = np.finfo(np.float16)
    if exact.min() >= limits.smallest_normal and exact.max() <= limits.max:
        scale: Array = exact.astype(np.float16)
        scale = np.where(scale.astype(np.float32) < exact, np.nextafter(scale, np.float16(np.inf)), scale)
    else:
        scale = exact
    stored = np.empty(values.shape, np.int8)
    for head, of_head in enumerate(values):
        rounded = np.rint(of_head / scale[head].astype(np.float32)[..., None])
        stored[head] = np.clip(rounded, -I8_MAX, I8_MAX)
    return stored, scale


class Tensors(Protocol):
    """What takes tensors by name: a dictionary, or a TensorStore."""

    def __setitem__(self, name: str, value: Array, /) -> None: ...


def put_tensor(tensors: Tensors, name: str, values: Floats, dtype: str) -> None:
    """Adds a tensor in the given dtype; ToolError where it has values that the dtype cannot hold."""
    if not all(np.isfinite(part).all() for part in values):
        raise ToolError(f"{name} has values that are not finite: the model overflowed on this text")
    if dtype == "i8":
        tensors[name], tensors[name + ".scale"] = quantise(values)
    elif dtype == "f16":
        if max(np.abs(part).max() for part in values) > np.finfo(np.float16).max:
            raise ToolError(f"{name} has values beyond F16's 65504; capture with --dtype i8 or f32")
        tensors[name] = values.astype(np.float16)
    else:
        tensors[name] = values.astype(np.float32)


@dataclass(frozen=True)
class _Entry:
    """A tensor, and how its bytes are had."""

    dtype: str
    shape: tuple[int, ...]
    size: int  # bytes
    read: Callable[[], bytes | bytearray | memoryview]


# In the order in which the safetensors library writes them.
NAMES = {"float64": "F64", "float32": "F32", "int32": "I32", "float16": "F16", "int8": "I8", "uint8": "U8"}


def _entry(value: Array, read: Callable[[], bytes | bytearray | memoryview]) -> _Entry:
    return _Entry(NAMES[value.dtype.name], value.shape, value.nbytes, read)


def _file(entries: Mapping[str, _Entry], metadata: Mapping[str, str]) -> Iterator[bytes | bytearray | memoryview]:
    """Of a safetensors file the header, then each tensor. Equal content is equal bytes."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    kinds, at = list(NAMES.values()), 0
    ordered = sorted(entries.items(), key=lambda item: (kinds.index(item[1].dtype), item[0]))
    for name, entry in ordered:
        header[name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": [at, at + entry.size]}
        at += entry.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for _, entry in ordered:
        yield entry.read()


class TensorStore:
    """Tensors that wait on disk, in the folder for temporary files, until they are a file."""

    def __init__(self) -> None:
        self._spilled = SpillFile("what is captured")
        self._entries: dict[str, _Entry] = {}

    def __setitem__(self, name: str, value: Array, /) -> None:
        at = self._spilled.room(value.nbytes)
        self._spilled.write(at, np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        self._entries[name] = _entry(value, partial(self._spilled.read, at, value.nbytes))

    def file(self, metadata: Mapping[str, str]) -> Iterator[bytes | bytearray | memoryview]:
        """A safetensors file, part by part: one tensor is in memory at a time."""
        return _file(self._entries, metadata)


def serialise(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file."""
    entries = {name: _entry(value, np.ascontiguousarray(value).tobytes) for name, value in tensors.items()}
    return b"".join(_file(entries, metadata))


class TraceFile:
    """A trace file, read tensor by tensor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = cast("Any", safe_open(str(path), framework="np"))
        except (SafetensorError, FileNotFoundError) as error:
            raise ToolError(f"{path}: no readable safetensors file: {error}") from None
        self.metadata: dict[str, str] = self._file.metadata() or {}
        if self.metadata.get("format") != TRACE_FORMAT:
            raise ToolError(f'{path}: no trace: "format" in its metadata is not "{TRACE_FORMAT}"')
        self.names = set(self._file.keys())

    @property
    def layers(self) -> list[int]:
        return [int(layer) for layer in self.metadata["layers"].split(",")]

    def stored(self, name: str) -> Array:
        if name not in self.names:
            raise ToolError(f"{self.path}: has no tensor {name}")
        tensor: Array = self._file.get_tensor(name)
        return tensor

    def floats(self, name: str) -> Floats:
        """A tensor in F32, its scale applied."""
        values = self.stored(name).astype(np.float32)
        scale = name + ".scale"
        return values * self.stored(scale).astype(np.float32)[..., None] if scale in self.names else values
