"""Quantisation and the file itself."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from evictlab_tools.errors import ToolError
from evictlab_tools.tokens import TokenType, type_of_text
from evictlab_tools.trace_file import TRACE_FORMAT, Array, TensorStore, TraceFile, put_tensor, quantise, serialise


@pytest.mark.parametrize("size", [1e-9, 1e-4, 1.0, 300.0, 1e9])
def test_round_trip_through_i8_is_off_by_half_a_scale(size: float) -> None:
    values = (size * np.random.default_rng(3).standard_normal((4, 50, 16))).astype(np.float32)
    values[1, 7] = 0
    stored, scale = quantise(values)
    back = stored.astype(np.float32) * scale.astype(np.float32)[..., None]
    bound = np.abs(values).max(-1, keepdims=True) / 127 / 2
    assert (np.abs(back - values) <= bound * 1.002 + 1e-45).all()
    assert (back[1, 7] == 0).all()
    assert np.abs(stored).max() == 127
    assert (scale.dtype == np.float16) == (size in (1.0, 300.0))


def test_values_that_a_dtype_cannot_hold_are_refused() -> None:
    large = np.full((1, 2, 4), 70000, np.float32)
    tensors: dict[str, Array] = {}
    with pytest.raises(ToolError, match=r"layers\.0\.q.*65504.*--dtype"):
        put_tensor(tensors, "layers.0.q", large, "f16")
    put_tensor(tensors, "layers.0.q", large, "i8")
    large[0, 1, 2] = np.nan
    with pytest.raises(ToolError, match=r"layers\.0\.q.*not finite"):
        put_tensor(tensors, "layers.0.q", large, "i8")


def test_equal_content_is_equal_bytes_and_reads_back(tmp_path: Path) -> None:
    tensors: dict[str, Array] = {"a": np.arange(6, dtype=np.int8).reshape(2, 3), "b": np.ones(5, np.float16)}
    metadata = {"format": TRACE_FORMAT, "layers": "2", **{f"key{i}": "ü" * i for i in range(1, 9)}}
    data = serialise(tensors, metadata)
    assert data == serialise(dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    trace = TraceFile(path)
    assert trace.metadata == metadata
    assert trace.layers == [2]
    np.testing.assert_array_equal(trace.stored("a"), tensors["a"])
    with pytest.raises(ToolError, match=r"a\.safetensors: has no tensor c"):
        trace.stored("c")
    path.write_bytes(data[:-3])
    with pytest.raises(ToolError, match=r"a\.safetensors: no readable"):
        TraceFile(path)


def test_files_are_those_of_the_safetensors_library_and_a_store_gives_the_same_in_parts() -> None:
    random, tensors = np.random.default_rng(5), dict[str, Array]()
    for number, kind in enumerate(("f8", "f4", "i4", "f2", "i1", "u1") * 3):
        tensors[f"layers.{number}.{kind}"] = (9 * random.random((number % 3 + 1, 7))).astype(kind)[:, ::-1]
    tensors["none"] = np.empty((0, 3), np.float32)
    metadata = {"format": TRACE_FORMAT, "document": "größer"}
    known = load(serialise(tensors, metadata))
    assert all((known[name] == tensor).all() and known[name].dtype == tensor.dtype for name, tensor in tensors.items())
    theirs = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, {"one": "1"})
    assert serialise(tensors, {"one": "1"}) == theirs
    store = TensorStore()
    for name, tensor in tensors.items():
        store[name] = tensor
    parts = list(store.file(metadata))
    assert b"".join(parts) == serialise(tensors, metadata)
    assert len(parts) == 1 + len(tensors)  # the header, and one at a time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" the", TokenType.WORD),
        ("ß", TokenType.WORD),
        ("x2", TokenType.WORD),
        ("\N{REPLACEMENT CHARACTER}", TokenType.WORD),
        ("12", TokenType.NUMBER),
        (" 7,", TokenType.NUMBER),
        (".\n", TokenType.PUNCTUATION),
        ("   ", TokenType.PUNCTUATION),
    ],
)
def test_types_of_tokens(text: str, expected: TokenType) -> None:
    assert type_of_text(text) == expected
