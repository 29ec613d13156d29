"""libevictlab by ctypes: scores one layer with any Evictlab scorer. Arrays are passed as they lie, without copies.

evictlab/evictlab.h is the reference. Calls release the GIL, and several threads may use one scorer.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Sequence
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_size_t, c_ssize_t, c_uint8, c_uint32, c_uint64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evictlab_tools.errors import ToolError, UsageError

FILE_NAME = "libevictlab.so"
USAGE = 2
ALL_QUERIES = 2**64 - 1

Floats = NDArray[np.float32]
Handle = ctypes.c_void_p


class _Failure(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char * 1024),)


class _Needs(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("queries", c_uint64),
        ("token_type", c_uint32),
        ("wov_norm", c_uint32),
        ("budgeted", c_uint32),
        ("uneven", c_uint32),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("layer", c_uint32),
        ("num_layers", c_uint32),
        ("query_heads", c_uint32),
        ("kv_heads", c_uint32),
        ("tokens", c_uint32),
        ("dim", c_uint32),
        ("q", POINTER(c_float)),
        ("k", POINTER(c_float)),
        ("v", POINTER(c_float)),
        ("q_head_stride", c_ssize_t),
        ("k_head_stride", c_ssize_t),
        ("v_head_stride", c_ssize_t),
        ("q_token_stride", c_ssize_t),
        ("k_token_stride", c_ssize_t),
        ("v_token_stride", c_ssize_t),
        ("first_query", c_uint64),
        ("rope_inv_freq", POINTER(c_float)),
        ("rope_scale", c_double),
        ("softmax_scale", c_double),
        ("sliding_window", c_uint64),
        ("token_type", POINTER(c_uint8)),
        ("wov_norm", POINTER(c_float)),
        ("wov_norm_stride", c_ssize_t),
        ("memory", Handle),
    )


_Add = ctypes.CFUNCTYPE(None, ctypes.c_void_p, c_char_p)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "evl_version": (c_char_p, []),
    "evl_lab_open": (c_int32, [POINTER(c_char_p), c_uint64, POINTER(Handle), POINTER(_Failure)]),
    "evl_lab_close": (None, [Handle]),
    "evl_lab_problem_count": (c_uint64, [Handle]),
    "evl_lab_problem": (c_char_p, [Handle, c_uint64]),
    "evl_lab_scorer_count": (c_uint64, [Handle]),
    "evl_lab_scorer": (c_char_p, [Handle, c_uint64]),
    "evl_lab_split": (c_int32, [Handle, c_char_p, _Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_scorer_open": (c_int32, [Handle, c_char_p, POINTER(Handle), POINTER(_Failure)]),
    "evl_scorer_close": (None, [Handle]),
    "evl_scorer_needs": (None, [Handle, POINTER(_Needs)]),
    "evl_scorer_column_count": (c_uint64, [Handle]),
    "evl_scorer_column": (c_char_p, [Handle, c_uint64]),
    "evl_scorer_hash": (c_char_p, [Handle]),
    "evl_scorer_score": (
        c_int32,
        [Handle, POINTER(_Layer), c_double, POINTER(c_double), POINTER(c_uint64), POINTER(_Failure)],
    ),
    "evl_scorer_keep": (
        c_int32,
        [
            Handle,
            POINTER(_Layer),
            POINTER(c_double),
            c_uint64,
            POINTER(c_uint8),
            POINTER(c_uint64),
            POINTER(c_double),
            POINTER(_Failure),
        ],
    ),
    "evl_memory_open": (c_int32, [POINTER(Handle), POINTER(_Failure)]),
    "evl_memory_close": (None, [Handle]),
    "evl_suite_folder": (c_int32, [c_char_p, _Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_suite_hash": (c_int32, [c_char_p, c_char_p, POINTER(_Failure)]),
}


@dataclass(frozen=True)
class LayerInput:
    """One layer at the end of a prompt of n tokens; q, k and v as the attention uses them (after RoPE and any norm).

    F32 arrays whose last axis is contiguous are read where they lie; the library copies those whose tokens do not lie
    one after another, and others are converted here.
    """

    layer: int
    num_layers: int
    k: Floats  # [H_kv][n][d]
    v: Floats  # [H_kv][n][d]
    softmax_scale: float
    query_heads: int
    q: Floats | None = None  # [H_q][n - first_query][d]; None where the scorer needs no queries
    first_query: int = 0  # position of q's first row
    rope_inv_freq: Floats | None = None  # [d / 2]
    rope_scale: float = 1.0
    sliding_window: int = 0
    token_type: NDArray[np.uint8] | None = None  # [n]
    wov_norm: Floats | None = None  # [H_q][n]
    memory: Memory | None = None  # of this layer of this document


@dataclass(frozen=True)
class Needs:
    """What a scorer must be given, and whether its budgets are other than kvpress's K in every head."""

    queries: int  # the latest ones; ALL_QUERIES: all
    token_type: bool
    wov_norm: bool
    may_use_wov_norm: bool  # a plugin that reads tensors
    budgeted: bool  # scores depend on the removed fraction
    uneven: bool


@dataclass(frozen=True)
class Kept:
    mask: NDArray[np.bool_]  # [budgets][H_kv][n]
    scores: NDArray[np.float64]  # [budgets][H_kv][n]


def find_library() -> Path:
    """EVICTLAB_LIBRARY, else the build of the sources that this package lies in, else beside `evictlab` on the PATH."""
    if named := os.environ.get("EVICTLAB_LIBRARY"):
        if not Path(named).is_file():
            raise ToolError(f"EVICTLAB_LIBRARY is {named}, and there is no such file")
        return Path(named)
    places = [Path(__file__).resolve().parents[3] / "build" / "release" / "lib"]
    if program := shutil.which("evictlab"):
        prefix = Path(program).resolve().parents[1]
        places += [prefix / "lib", prefix / "lib64"]
    for place in places:
        if (place / FILE_NAME).is_file():
            return place / FILE_NAME
    raise ToolError(
        f"{FILE_NAME} is not in {' nor in '.join(map(str, places))}; build evictlab (scripts/quickstart), put its "
        "installed `evictlab` on the PATH, or name the library in EVICTLAB_LIBRARY"
    )


def _address(array: Floats | None) -> Any:
    return None if array is None else array.ctypes.data_as(POINTER(c_float))


def _rows(array: Any) -> Floats:
    """F32 with a contiguous last axis: the array itself where it is that."""
    floats: Floats = np.asarray(array, np.float32)
    return floats if floats.strides[-1] == floats.itemsize else np.ascontiguousarray(floats)


class Scorer:
    """A scorer, ready to run. Threads may share it."""

    def __init__(self, library: Library, handle: Handle, text: str) -> None:
        self._library, self._handle, self.text = library, handle, text

    def __del__(self) -> None:
        self._library.call("evl_scorer_close", self._handle)

    @cached_property
    def needs(self) -> Needs:
        needs = _Needs(ctypes.sizeof(_Needs))
        self._library.call("evl_scorer_needs", self._handle, ctypes.byref(needs))
        return Needs(
            needs.queries,
            bool(needs.token_type),
            needs.wov_norm == 1,
            needs.wov_norm > 0,
            bool(needs.budgeted),
            bool(needs.uneven),
        )

    @property
    def columns(self) -> list[str]:
        return self._library.texts("evl_scorer_column", self._handle)

    @property
    def hash(self) -> str:
        """Of everything that decides its scores."""
        return str(self._library.call("evl_scorer_hash", self._handle).decode())

    def new_memory(self) -> Memory:
        """For a layer that this and other scorers of the library will score."""
        return Memory(self._library)

    def score(self, layer: LayerInput, removed: float = 0.5) -> NDArray[np.float64]:
        """[H_kv][n], higher = keep. `removed` (above 0) matters to scorers that are `budgeted`."""
        given, _arrays = self._given(layer)
        scores = np.empty((given.kv_heads, given.tokens))
        self._library.check(
            "evl_scorer_score",
            self._handle,
            ctypes.byref(given),
            removed,
            scores.ctypes.data_as(POINTER(c_double)),
            None,
        )
        return scores

    def keep(self, layer: LayerInput, removed: Sequence[float]) -> Kept:
        """What is kept at each removed fraction."""
        given, _arrays = self._given(layer)
        shape = (len(removed), given.kv_heads, given.tokens)
        mask, scores = np.empty(shape, np.uint8), np.empty(shape)
        self._library.check(
            "evl_scorer_keep",
            self._handle,
            ctypes.byref(given),
            (c_double * len(removed))(*removed),
            len(removed),
            mask.ctypes.data_as(POINTER(c_uint8)),
            None,
            scores.ctypes.data_as(POINTER(c_double)),
        )
        return Kept(mask.view(np.bool_), scores)

    def _given(self, layer: LayerInput) -> tuple[_Layer, list[Any]]:
        """The structure, and the arrays that it points to, which must outlive the call."""
        k, v = _rows(layer.k), _rows(layer.v)
        q = None if layer.q is None else _rows(layer.q)
        rope = None if layer.rope_inv_freq is None else np.ascontiguousarray(layer.rope_inv_freq, np.float32)
        types = None if layer.token_type is None else np.ascontiguousarray(layer.token_type, np.uint8)
        norms = None if layer.wov_norm is None else _rows(layer.wov_norm)
        kv_heads, tokens, dim = k.shape
        self._check_shapes(layer, {"k": k, "v": v, "q": q, "rope": rope, "types": types, "norms": norms})
        strides = [
            0 if array is None else array.strides[axis] // array.itemsize for axis in (0, 1) for array in (q, k, v)
        ]
        given = _Layer(
            ctypes.sizeof(_Layer),
            layer.layer,
            layer.num_layers,
            layer.query_heads,
            kv_heads,
            tokens,
            dim,
            _address(q),
            _address(k),
            _address(v),
            *strides,
            layer.first_query,
            _address(rope),
            layer.rope_scale,
            layer.softmax_scale,
            layer.sliding_window,
            None if types is None else types.ctypes.data_as(POINTER(c_uint8)),
            _address(norms),
            0 if norms is None else norms.strides[0] // norms.itemsize,
            None if layer.memory is None else layer.memory.handle,
        )
        return given, [q, k, v, rope, types, norms]

    def _check_shapes(self, layer: LayerInput, arrays: dict[str, Any]) -> None:
        """The library knows addresses only, so a wrong shape must not reach it."""
        kv_heads, tokens, dim = arrays["k"].shape
        wanted = {
            "v": (kv_heads, tokens, dim),
            "q": (layer.query_heads, tokens - layer.first_query, dim),
            "rope": (dim // 2,),
            "types": (tokens,),
            "norms": (layer.query_heads, tokens),
        }
        for name, shape in wanted.items():
            if arrays[name] is not None and arrays[name].shape != shape:
                raise UsageError(
                    f"scorer '{self.text}', layer {layer.layer}: {name} is {list(arrays[name].shape)}, "
                    f"not {list(shape)}"
                )


class Lab:
    """The plugins that were found: in `plugin_dirs`, in EVICTLAB_PLUGIN_PATH and beside the library."""

    def __init__(self, plugin_dirs: Sequence[Path] = (), library: Path | None = None) -> None:
        self._library = Library(library or find_library())
        folders = (c_char_p * len(plugin_dirs))(*(os.fsencode(folder) for folder in plugin_dirs))
        self._handle = Handle()
        self._library.check("evl_lab_open", folders, len(plugin_dirs), ctypes.byref(self._handle))

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.call("evl_lab_close", self._handle)

    @property
    def library(self) -> Library:
        return self._library

    @property
    def problems(self) -> list[str]:
        """What of the search path cannot be used."""
        return self._library.texts("evl_lab_problem", self._handle)

    @property
    def scorers(self) -> list[str]:
        """What `evictlab bench --scorers all --protocol prefill` runs."""
        return self._library.texts("evl_lab_scorer", self._handle)

    def split(self, texts: str) -> list[str]:
        """A list of scorers as the command line takes it; `all` stands for all of them."""
        found: list[str] = []
        add = _Add(lambda _context, text: found.append(text.decode()))
        self._library.check("evl_lab_split", self._handle, texts.encode(), add, None)
        return found

    def open(self, text: str) -> Scorer:
        handle = Handle()
        self._library.check("evl_scorer_open", self._handle, text.encode(), ctypes.byref(handle))
        return Scorer(self._library, handle, text)


class Memory:
    """Columns of one layer of one document, kept from call to call. Threads may share it."""

    def __init__(self, library: Library) -> None:
        self._library, self.handle = library, Handle()
        library.check("evl_memory_open", ctypes.byref(self.handle))

    def __del__(self) -> None:
        if self.handle:
            self._library.call("evl_memory_close", self.handle)


class Library:
    """The loaded library: calls with errors as exceptions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise ToolError(f"{path}: cannot be loaded: {error}") from None
        for name, (result, arguments) in _FUNCTIONS.items():
            try:
                function = getattr(self._functions, name)
            except AttributeError:
                raise ToolError(f"{path}: has no {name}: not libevictlab, or of another version") from None
            function.restype, function.argtypes = result, arguments
        if ctypes.sizeof(c_size_t) != ctypes.sizeof(c_uint64):
            raise ToolError("libevictlab needs a 64-bit Python")

    @property
    def program(self) -> Path:
        """The `evictlab` of the same build or installation."""
        program = self.path.resolve().parents[1] / "bin" / "evictlab"
        if not program.is_file():
            raise ToolError(f"{program}: there is no evictlab beside {self.path}")
        return program

    @property
    def version(self) -> str:
        return str(self.call("evl_version").decode())

    def call(self, function: str, *arguments: Any) -> Any:
        return getattr(self._functions, function)(*arguments)

    def check(self, function: str, *arguments: Any) -> None:
        failure = _Failure()
        status = self.call(function, *arguments, ctypes.byref(failure))
        if status != 0:
            kind: Callable[[str], ToolError] = UsageError if status == USAGE else ToolError
            raise kind(failure.text.decode("utf-8", "replace"))

    def texts(self, function: str, handle: Handle) -> list[str]:
        count = self.call(f"{function}_count", handle)
        return [self.call(function, handle, i).decode() for i in range(count)]

    def suite_folder(self, suite: str) -> Path:
        """Of a captured suite, by name or folder, found as `evictlab bench --suite` finds it."""
        found: list[bytes] = []
        take = _Add(lambda _context, folder: found.append(folder))
        self.check("evl_suite_folder", os.fsencode(suite), take, None)
        return Path(os.fsdecode(found[0]))

    def suite_hash(self, suite: str) -> str:
        """As benches of the suite have it."""
        out = ctypes.create_string_buffer(80)
        self.check("evl_suite_hash", suite.encode(), out)
        return out.value.decode()
