"""Cuts that no scorer decides, by libevictlab: the sets of an oracle, and the names of budgets."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_double, c_uint8, c_uint64
from functools import cache

import numpy as np
from numpy.typing import NDArray

from evictlab_tools.binding import Library, find_library
from evictlab_tools.library import given_shape
from evictlab_tools.shapes import Budgets, Shape


@cache
def _library() -> Library:
    return Library(find_library())


def oracle_keeps(
    attention: NDArray[np.float64], kept: int, shape: Shape, *, together: bool = False
) -> NDArray[np.bool_]:
    """Of rows [rows][n] with the attention of later queries: the tokens that hold most of it, `kept` of each row.

    Where heads have sets of their own, `together` cuts all rows as one; else those who share a set have their mean.
    """
    given = np.ascontiguousarray(attention, np.float64)
    mask = np.empty(given.shape, np.uint8)
    _library().check(
        "evl_oracle_keep",
        given.ctypes.data_as(POINTER(c_double)),
        *given.shape,
        kept,
        ctypes.byref(given_shape(shape)),
        together,
        mask.ctypes.data_as(POINTER(c_uint8)),
    )
    return mask.view(np.bool_)


def budgets_of_numbers(keep: Sequence[int], prompts: Sequence[int]) -> Budgets:
    """Numbers of tokens of such prompts, by the names that benches have for them."""
    names = (c_double * len(keep))()
    numbers, tokens = ((c_uint64 * len(values))(*values) for values in (keep, prompts))
    _library().check("evl_keep_names", numbers, len(keep), tokens, len(prompts), names)
    return Budgets(tuple(names), tuple(keep))
