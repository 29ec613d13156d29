"""Scores one layer with any Evictlab scorer, in the library. Arrays are passed as they lie, without copies.

Threads may share a scorer.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_double, c_float, c_uint8, c_uint32
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evictlab_tools import binding
from evictlab_tools.binding import Handle, Library, find_library
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.shapes import BLOCK_SCORES, GRANULARITIES, JOINS, Shape

ALL_QUERIES = 2**64 - 1
SECOND_PASSES = ("plain", "plus", "grad")  # of KVzip, KVzip+ and KVgrad: reconstruct.KINDS

Floats = NDArray[np.float32]
USUAL = Shape()


@dataclass(frozen=True)
class LayerInput:
    """One layer at the end of a text, of which n tokens are cached: all of a prompt, or what earlier evictions left.

    q, k and v are as the attention uses them (after RoPE and any norm).

    F32 arrays whose last axis is contiguous are read where they lie; the library copies those whose tokens do not lie
    one after another, and others are converted here.
    """

    layer: int
    num_layers: int
    k: Floats  # [H_kv][n][d]
    v: Floats  # [H_kv][n][d]
    softmax_scale: float
    query_heads: int
    q: Floats | None = None  # [H_q][seen - first_query][d]; None where the scorer needs no queries
    first_query: int = 0  # position of q's first row
    rope_inv_freq: Floats | None = None  # [d / 2]
    rope_scale: float = 1.0
    sliding_window: int = 0
    token_type: NDArray[np.uint8] | None = None  # [n], or of each head, [H_kv][n]
    wov_norm: Floats | None = None  # [H_q][n]
    memory: Memory | None = None  # of this layer of this document
    wo_gram: NDArray[np.float64] | None = None  # [H_q][d][d], W_o[h]^T W_o[h]
    reconstruction: Mapping[str, Floats] = field(default_factory=dict)  # [H_kv][n], by SECOND_PASSES
    positions: NDArray[np.uint32] | None = None  # [n], or of each head, [H_kv][n]: ascending; None: 0 .. n - 1
    seen: int = 0  # tokens that there were so far; 0: n


@dataclass(frozen=True)
class LayerColumns:
    """One layer of which all columns that a scorer reads were put into the memory, in place of arrays."""

    layer: int
    num_layers: int
    query_heads: int
    kv_heads: int
    tokens: int
    dim: int
    memory: Memory


@dataclass(frozen=True)
class Needs:
    """What a scorer must be given, and whether its budgets are other than kvpress's K in every head."""

    queries: int  # the latest ones; ALL_QUERIES: all
    token_type: bool
    wov_norm: bool
    may_use_wov_norm: bool  # a plugin that reads tensors
    budgeted: bool  # scores depend on the removed fraction
    uneven: bool
    calibration: bool = False  # it reads the calibration of its lab
    wo_gram: bool = False
    reconstruction: tuple[str, ...] = ()  # of SECOND_PASSES
    model_budgets: bool = False  # what a layer keeps is known once all are scored: by Model, not by Scorer.keep


@dataclass(frozen=True)
class Kept:
    mask: NDArray[np.bool_]  # [budgets][H_kv][n]
    scores: NDArray[np.float64]  # [budgets][H_kv][n]


def _address(array: Floats | None) -> Any:
    return None if array is None else array.ctypes.data_as(POINTER(c_float))


def given_shape(shape: Shape) -> binding.Shape:
    return binding.Shape(
        ctypes.sizeof(binding.Shape),
        GRANULARITIES.index(shape.granularity),
        JOINS.index(shape.join),
        shape.block,
        BLOCK_SCORES.index(shape.block_score),
        shape.sinks,
        shape.recent,
    )


def _asked(removed: Sequence[float], shape: Shape) -> binding.Selection:
    selection = binding.Selection(ctypes.sizeof(binding.Selection))
    selection.shape = ctypes.pointer(given_shape(shape))
    selection.budgets = len(removed)
    selection.removed = (c_double * len(removed))(*removed)
    return selection


def _rows(array: Any) -> Floats:
    """F32 with a contiguous last axis: the array itself where it is that."""
    floats: Floats = np.asarray(array, np.float32)
    return floats if floats.strides[-1] == floats.itemsize else np.ascontiguousarray(floats)


def layer_of_columns(layer: LayerColumns) -> binding.Layer:
    """The structure without arrays."""
    given = binding.Layer(ctypes.sizeof(binding.Layer), layer.layer, layer.num_layers)
    given.query_heads, given.kv_heads, given.tokens, given.dim = (
        layer.query_heads,
        layer.kv_heads,
        layer.tokens,
        layer.dim,
    )
    given.softmax_scale = given.rope_scale = 1.0  # of no meaning here, but of a layer
    given.memory = layer.memory.handle
    return given


class Scorer:
    """A scorer, ready to run. Threads may share it."""

    def __init__(self, library: Library, handle: Handle, text: str, calibration: Path | None = None) -> None:
        self._library, self._handle, self.text, self.calibration = library, handle, text, calibration

    @property
    def library(self) -> Library:
        return self._library

    @property
    def handle(self) -> Handle:
        return self._handle

    def __del__(self) -> None:
        self._library.call("evl_scorer_close", self._handle)

    @cached_property
    def needs(self) -> Needs:
        needs = binding.Needs(ctypes.sizeof(binding.Needs))
        self._library.call("evl_scorer_needs", self._handle, ctypes.byref(needs))
        return Needs(
            needs.queries,
            bool(needs.token_type),
            needs.wov_norm == 1,
            needs.wov_norm > 0,
            bool(needs.budgeted),
            bool(needs.uneven),
            bool(needs.calibration),
            bool(needs.wo_gram),
            tuple(kind for bit, kind in enumerate(SECOND_PASSES) if needs.reconstruction >> bit & 1),
            bool(needs.model_budgets),
        )

    @cached_property
    def columns(self) -> list[str]:
        return self._library.texts("evl_scorer_column", self._handle)

    @property
    def hash(self) -> str:
        """Of everything that decides its scores."""
        return str(self._library.call("evl_scorer_hash", self._handle).decode())

    @cached_property
    def name(self) -> str:
        """In all tables and results. Where `text` is a file, it is the formula file's stem or the plugin's id."""
        return str(self._library.call("evl_scorer_name", self._handle).decode())

    @property
    def plugin(self) -> str | None:
        """The id of its plugin, of a wrapper its own; None of a formula."""
        found: bytes | None = self._library.call("evl_scorer_plugin", self._handle)
        return None if found is None else found.decode()

    @property
    def published(self) -> bool:
        """A published method as it was published, as its plugin says."""
        return bool(self._library.call("evl_scorer_published", self._handle))

    @cached_property
    def formula(self) -> str | None:
        """That gives its scores: its own, or the twin of its plugin."""
        found: bytes | None = self._library.call("evl_scorer_formula", self._handle)
        return None if found is None else found.decode()

    @property
    def row_class(self) -> dict[str, Any]:
        """Its class of methods, as rows of results say it."""
        result: dict[str, Any] = json.loads(self._library.call("evl_scorer_class", self._handle))
        return result

    def new_memory(self) -> Memory:
        """For a layer that this and other scorers of the library will score."""
        return Memory(self._library)

    def score(self, layer: LayerInput | LayerColumns, removed: float = 0.5) -> NDArray[np.float64]:
        """[H_kv][n], higher = keep. `removed` (above 0) matters to scorers that are `budgeted`."""
        given, _arrays = self.given(layer)
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

    def keep(self, layer: LayerInput | LayerColumns, removed: Sequence[float], shape: Shape = USUAL) -> Kept:
        """What is kept at each removed fraction."""
        given, _arrays = self.given(layer)
        size = (len(removed), given.kv_heads, given.tokens)
        mask, scores = np.empty(size, np.uint8), np.empty(size)
        selection = _asked(removed, shape)
        selection.kept = mask.ctypes.data_as(POINTER(c_uint8))
        selection.scores = scores.ctypes.data_as(POINTER(c_double))
        self._library.check("evl_scorer_select", self._handle, ctypes.byref(given), ctypes.byref(selection))
        return Kept(mask.view(np.bool_), scores)

    def model(self, removed: Sequence[float], shape: Shape = USUAL) -> Model:
        """What it keeps in all layers of one sequence, at each removed fraction; of any scorer."""
        return Model(self, self._library, self._handle, removed, shape)

    def check_shape(self, shape: Shape) -> None:
        """UsageError, which says why, where the scorer cannot be had at the shape."""
        self._library.check("evl_scorer_fits", self._handle, ctypes.byref(given_shape(shape)))

    def given(self, layer: LayerInput | LayerColumns) -> tuple[binding.Layer, list[Any]]:
        """The structure, and the arrays that it points to, which must outlive the call."""
        if isinstance(layer, LayerColumns):
            return layer_of_columns(layer), [layer.memory]
        k, v = _rows(layer.k), _rows(layer.v)
        q = None if layer.q is None else _rows(layer.q)
        rope = None if layer.rope_inv_freq is None else np.ascontiguousarray(layer.rope_inv_freq, np.float32)
        types = None if layer.token_type is None else np.ascontiguousarray(layer.token_type, np.uint8)
        at = None if layer.positions is None else np.ascontiguousarray(layer.positions, np.uint32)
        norms = None if layer.wov_norm is None else _rows(layer.wov_norm)
        gram = None if layer.wo_gram is None else np.ascontiguousarray(layer.wo_gram, np.float64)
        passes = [
            np.ascontiguousarray(layer.reconstruction[kind], np.float32) if kind in layer.reconstruction else None
            for kind in SECOND_PASSES
        ]
        kv_heads, tokens, dim = k.shape
        arrays = {"k": k, "v": v, "q": q, "rope": rope, "types": types, "norms": norms, "wo_gram": gram, "at": at}
        self._check_shapes(layer, arrays | dict(zip(SECOND_PASSES, passes, strict=True)))
        strides = [
            0 if array is None else array.strides[axis] // array.itemsize for axis in (0, 1) for array in (q, k, v)
        ]
        given = binding.Layer(
            ctypes.sizeof(binding.Layer),
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
            None if gram is None else gram.ctypes.data_as(POINTER(c_double)),
            (POINTER(c_float) * 3)(*(_address(given) or POINTER(c_float)() for given in passes)),
            tokens,
            0,
            0,
            None if at is None else at.ctypes.data_as(POINTER(c_uint32)),
            0 if at is None or at.ndim == 1 else tokens,
            layer.seen,
            0 if types is None or types.ndim == 1 else tokens,
        )
        return given, [q, k, v, rope, types, norms, gram, at, *passes]

    def _check_shapes(self, layer: LayerInput, arrays: dict[str, Any]) -> None:
        """The library knows addresses only, so a wrong shape must not reach it."""
        kv_heads, tokens, dim = arrays["k"].shape
        seen = layer.seen or tokens
        of_heads = [name for name in ("types", "at") if arrays[name] is not None and arrays[name].ndim == 2]
        wanted = {
            "v": (kv_heads, tokens, dim),
            "q": (layer.query_heads, seen - layer.first_query, dim),
            "rope": (dim // 2,),
            "types": (tokens,),
            "at": (tokens,),
            "norms": (layer.query_heads, tokens),
            "wo_gram": (layer.query_heads, dim, dim),
            **dict.fromkeys([*SECOND_PASSES, *of_heads], (kv_heads, tokens)),
        }
        for name, shape in wanted.items():
            if arrays[name] is not None and arrays[name].shape != shape:
                raise UsageError(
                    f"scorer '{self.text}', layer {layer.layer}: {name} is {list(arrays[name].shape)}, "
                    f"not {list(shape)}"
                )


class Model:
    """The layers of a model, scored one after another, and then what each keeps. Threads may share it."""

    def __init__(
        self, scorer: Scorer, library: Library, handle: Handle, removed: Sequence[float], shape: Shape = USUAL
    ) -> None:
        self._scorer, self._library, self._budgets = scorer, library, len(removed)
        self._shapes: dict[int, tuple[int, int]] = {}
        self._handle = Handle()
        asked = _asked(removed, shape)
        library.check("evl_model_open_shape", handle, ctypes.byref(asked), ctypes.byref(self._handle))

    def __del__(self) -> None:
        if self._handle:
            self._library.call("evl_model_close", self._handle)

    def add(self, layer: LayerInput | LayerColumns) -> None:
        given, _arrays = self._scorer.given(layer)
        self._library.check("evl_model_add", self._handle, ctypes.byref(given))
        self._shapes[layer.layer] = (given.kv_heads, given.tokens)

    def keep(self, layer: int) -> Kept:
        """Of a layer that was added, once all are: the first call divides the budget among those that are there."""
        if layer not in self._shapes:
            raise UsageError(f"scorer '{self._scorer.text}': layer {layer} was not added")
        shape = (self._budgets, *self._shapes[layer])
        mask, scores = np.empty(shape, np.uint8), np.empty(shape)
        self._library.check(
            "evl_model_keep",
            self._handle,
            layer,
            mask.ctypes.data_as(POINTER(c_uint8)),
            None,
            scores.ctypes.data_as(POINTER(c_double)),
        )
        return Kept(mask.view(np.bool_), scores)


class Lab:
    """The plugins that were found: in `plugin_dirs`, in EVICTLAB_PLUGIN_PATH and beside the library."""

    def __init__(self, plugin_dirs: Sequence[Path] = (), library: Path | None = None) -> None:
        self._library = Library(library or find_library())
        self.calibration: Path | None = None
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

    def calibrate(self, file: Path) -> None:
        """Reads a calibration of the model, for the scorers that are opened from now on."""
        self._library.check("evl_lab_calibration", self._handle, os.fsencode(file))
        self.calibration = file

    def split(self, texts: str) -> list[str]:
        """A list of scorers as the command line takes it; `all` stands for all of them."""
        found: list[str] = []
        add = binding.Add(lambda _context, text: found.append(text.decode()))
        self._library.check("evl_lab_split", self._handle, texts.encode(), add, None)
        return found

    def full_name(self, text: str) -> str:
        """What `evictlab bench` runs for it on real attention: `snapkv` is `snapkv@kvpress`."""
        found: list[str] = []
        take = binding.Add(lambda _context, name: found.append(name.decode()))
        self._library.check("evl_lab_full_name", self._handle, text.encode(), take, None)
        return found[0]

    def open(self, text: str) -> Scorer:
        """By what a person types; the scorer's `text` is the full name."""
        text, handle = self.full_name(text), Handle()
        self._library.check("evl_scorer_open", self._handle, text.encode(), ctypes.byref(handle))
        return Scorer(self._library, handle, text, self.calibration)


class Memory:
    """Columns of one layer of one document, kept from call to call. Threads may share it."""

    def __init__(self, library: Library) -> None:
        self._library, self.handle = library, Handle()
        self.put_names: set[str] = set()  # of the columns that were put
        library.check("evl_memory_open", ctypes.byref(self.handle))

    def __del__(self) -> None:
        if self.handle:
            self._library.call("evl_memory_close", self.handle)

    def put(self, layer: LayerColumns, column: str, values: NDArray[np.float64]) -> None:
        """A column [H_kv][n] that was computed elsewhere, and that scorers read from then on."""
        if values.shape != (layer.kv_heads, layer.tokens):
            raise ToolError(f"column '{column}' is {list(values.shape)}, not {[layer.kv_heads, layer.tokens]}")
        packed = np.ascontiguousarray(values, np.float64)
        given, address = layer_of_columns(layer), packed.ctypes.data_as(POINTER(c_double))
        self._library.check("evl_memory_put", self.handle, ctypes.byref(given), column.encode(), address)
        self.put_names.add(column)
