"""The cache of one layer while a model decodes, in libevictlab: what the protocol `decode` of evictlab bench keeps.

The library only decides. Whoever runs the model holds the keys and values, and drops what it says.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_float, c_uint32, c_uint64

import numpy as np
from numpy.typing import NDArray

from evictlab_tools import binding
from evictlab_tools.binding import Handle
from evictlab_tools.library import USUAL, Floats, LayerInput, Scorer, given_shape
from evictlab_tools.shapes import Shape

Slots = list[NDArray[np.int64]]  # [head]: places among what each KV head caches, ascending


def check_decoding(scorer: Scorer, shape: Shape = USUAL) -> None:
    """UsageError, which says why, where the scorer cannot decide while decoding."""
    scorer.library.check("evl_cache_fits", scorer.handle, ctypes.byref(given_shape(shape)))


def _vectors(values: Floats) -> tuple[Floats, int]:
    """F32 with a contiguous last axis, and the stride of heads."""
    array = np.asarray(values, np.float32)
    array = array if array.strides[-1] == array.itemsize else np.ascontiguousarray(array)
    return array, array.strides[0] // array.itemsize


class LayerCache:
    """Cut at the end of a prompt, then told of each token. For one thread at a time.

    `keep` tokens of the prompt stay, or the share `removed` goes; `longest` is how many tokens may come in all.
    """

    def __init__(
        self,
        scorer: Scorer,
        prompt: LayerInput,
        *,
        longest: int,
        removed: float = 0.0,
        keep: int = 0,
        shape: Shape = USUAL,
    ) -> None:
        self._scorer, self._handle = scorer, Handle()  # the library reads the scorer until the cache is closed
        given, _arrays = scorer.given(prompt)
        self._kv_heads, self._query_heads, self._dim = given.kv_heads, given.query_heads, given.dim
        plan = binding.CachePlan(ctypes.sizeof(binding.CachePlan))
        plan.shape = ctypes.pointer(given_shape(shape))
        plan.removed, plan.keep, plan.longest = removed, keep, longest
        self._places = np.empty((self._kv_heads, longest), np.uint32)
        self._counts = np.empty(self._kv_heads, np.uint64)
        of_prompt = np.empty((self._kv_heads, given.tokens), np.uint32)
        scorer.library.check(
            "evl_cache_open",
            scorer.handle,
            ctypes.byref(given),
            ctypes.byref(plan),
            of_prompt.ctypes.data_as(POINTER(c_uint32)),
            self._counts.ctypes.data_as(POINTER(c_uint64)),
            ctypes.byref(self._handle),
        )
        self.places = self._slots(of_prompt)

    def __del__(self) -> None:
        if self._handle:
            self._scorer.library.call("evl_cache_close", self._handle)

    def step(
        self,
        q: Floats,  # [H_q][d]
        k: Floats,  # [H_kv][d]
        v: Floats,
        capacity: int,
        *,
        token_type: int = 0,
        wov_norm: Floats | None = None,  # [H_q]
    ) -> Slots | None:
        """What stays, where the cache is cut now: heads that hold more than `capacity` tokens, this one included; 0
        cuts nothing."""
        for name, array, heads in (("q", q, self._query_heads), ("k", k, self._kv_heads), ("v", v, self._kv_heads)):
            if array.shape != (heads, self._dim):  # the library knows addresses only
                raise ValueError(f"{name} is {list(array.shape)}, not {[heads, self._dim]}")
        token = binding.Token(ctypes.sizeof(binding.Token))
        (q, token.q_head_stride), (k, token.k_head_stride), (v, token.v_head_stride) = map(_vectors, (q, k, v))
        token.q, token.k, token.v = (array.ctypes.data_as(POINTER(c_float)) for array in (q, k, v))
        token.capacity, token.token_type = capacity, token_type
        if wov_norm is not None:
            wov_norm = np.ascontiguousarray(wov_norm, np.float32)
            if wov_norm.shape != (self._query_heads,):
                raise ValueError(f"wov_norm is {list(wov_norm.shape)}, not {[self._query_heads]}")
            token.wov_norm = wov_norm.ctypes.data_as(POINTER(c_float))
        was_cut = c_uint32()
        self._scorer.library.check(
            "evl_cache_step",
            self._handle,
            ctypes.byref(token),
            self._places.ctypes.data_as(POINTER(c_uint32)),
            self._counts.ctypes.data_as(POINTER(c_uint64)),
            ctypes.byref(was_cut),
        )
        return self._slots(self._places) if was_cut.value else None

    def _slots(self, places: NDArray[np.uint32]) -> Slots:
        return [row[: int(count)].astype(np.int64) for row, count in zip(places, self._counts, strict=True)]
