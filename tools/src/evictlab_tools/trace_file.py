"""Trace files, as docs/traces.md describes them: quantisation, writing, reading."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from evictlab_tools.errors import ToolError

TRACE_FORMAT = "evictlab-trace/1"
DTYPES = ("f16", "i8", "f32")
I8_MAX = 127
Array = NDArray[Any]
Floats = NDArray[np.float32]


def quantise(values: Floats) -> tuple[NDArray[np.int8], Array]:
    """[H][N][d] as I8 with a scale [H][N]: value ~ scale * stored, off by at most half a scale.

    The scale is F16, rounded up so that nothing is clipped, or F32 where F16 has no normal number for it.
    """
    exact = np.abs(values).max(-1) / np.float32(I8_MAX)
    exact[exact == 0] = 1
    limits = np.finfo(np.float16)
    if exact.min() >= limits.smallest_normal and exact.max() <= limits.max:
        scale: Array = exact.astype(np.float16)
        scale = np.where(scale.astype(np.float32) < exact, np.nextafter(scale, np.float16(np.inf)), scale)
    else:
        scale = exact
    stored = np.rint(values / scale.astype(np.float32)[..., None])
    return np.clip(stored, -I8_MAX, I8_MAX).astype(np.int8), scale


def put_tensor(tensors: dict[str, Array], name: str, values: Floats, dtype: str) -> None:
    """Adds a tensor in the given dtype; ToolError where it has values that the dtype cannot hold."""
    if not np.isfinite(values).all():
        raise ToolError(f"{name} has values that are not finite: the model overflowed on this text")
    if dtype == "i8":
        tensors[name], tensors[name + ".scale"] = quantise(values)
    elif dtype == "f16":
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ToolError(f"{name} has values beyond F16's 65504; capture with --dtype i8 or f32")
        tensors[name] = values.astype(np.float16)
    else:
        tensors[name] = values.astype(np.float32)


def serialise(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file. The library leaves the order of the metadata to chance; here equal content is equal bytes."""
    data = save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, dict(metadata))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


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
