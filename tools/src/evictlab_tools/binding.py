"""libevictlab's C interface by ctypes: its structures and functions, and calls with errors as exceptions.

evictlab/evictlab.h is the reference. Calls release the GIL.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_size_t, c_ssize_t, c_uint8, c_uint32, c_uint64
from pathlib import Path
from typing import Any

from evictlab_tools.errors import ToolError, UsageError

FILE_NAME = "libevictlab.so"
USAGE = 2

Handle = ctypes.c_void_p


class _Failure(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char * 1024),)


class Needs(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("queries", c_uint64),
        ("token_type", c_uint32),
        ("wov_norm", c_uint32),
        ("budgeted", c_uint32),
        ("uneven", c_uint32),
        ("calibration", c_uint32),
        ("wo_gram", c_uint32),
        ("reconstruction", c_uint32),
        ("model_budgets", c_uint32),
    )


class Layer(ctypes.Structure):
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
        ("wo_gram", POINTER(c_double)),
        ("reconstruction", POINTER(c_float) * 3),
        ("reconstruction_stride", c_ssize_t),
        ("value_type", c_uint32),
        ("reserved", c_uint32),
        ("position", POINTER(c_uint32)),
        ("position_stride", c_ssize_t),
        ("seen", c_uint64),
        ("token_type_stride", c_ssize_t),
    )


class Shape(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("granularity", c_uint32),
        ("join", c_uint32),
        ("block", c_uint32),
        ("block_score", c_uint32),
        ("sinks", c_uint64),
        ("recent", c_uint64),
    )


class Selection(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("shape", POINTER(Shape)),
        ("budgets", c_uint64),
        ("removed", POINTER(c_double)),
        ("keep", POINTER(c_uint64)),
        ("kept", POINTER(c_uint8)),
        ("places", POINTER(c_uint32)),
        ("counts", POINTER(c_uint64)),
        ("scores", POINTER(c_double)),
    )


class CachePlan(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("shape", POINTER(Shape)),
        ("removed", c_double),
        ("keep", c_uint64),
        ("longest", c_uint64),
    )


class Token(ctypes.Structure):
    _fields_ = (
        ("struct_size", c_uint64),
        ("q", POINTER(c_float)),
        ("k", POINTER(c_float)),
        ("v", POINTER(c_float)),
        ("q_head_stride", c_ssize_t),
        ("k_head_stride", c_ssize_t),
        ("v_head_stride", c_ssize_t),
        ("capacity", c_uint64),
        ("wov_norm", POINTER(c_float)),
        ("token_type", c_uint32),
        ("reserved", c_uint32),
    )


Add = ctypes.CFUNCTYPE(None, ctypes.c_void_p, c_char_p)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "evl_version": (c_char_p, []),
    "evl_lab_open": (c_int32, [POINTER(c_char_p), c_uint64, POINTER(Handle), POINTER(_Failure)]),
    "evl_lab_close": (None, [Handle]),
    "evl_lab_problem_count": (c_uint64, [Handle]),
    "evl_lab_problem": (c_char_p, [Handle, c_uint64]),
    "evl_lab_scorer_count": (c_uint64, [Handle]),
    "evl_lab_scorer": (c_char_p, [Handle, c_uint64]),
    "evl_lab_calibration": (c_int32, [Handle, c_char_p, POINTER(_Failure)]),
    "evl_lab_split": (c_int32, [Handle, c_char_p, Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_lab_full_name": (c_int32, [Handle, c_char_p, Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_scorer_open": (c_int32, [Handle, c_char_p, POINTER(Handle), POINTER(_Failure)]),
    "evl_scorer_close": (None, [Handle]),
    "evl_scorer_needs": (None, [Handle, POINTER(Needs)]),
    "evl_scorer_column_count": (c_uint64, [Handle]),
    "evl_scorer_column": (c_char_p, [Handle, c_uint64]),
    "evl_scorer_hash": (c_char_p, [Handle]),
    "evl_scorer_name": (c_char_p, [Handle]),
    "evl_scorer_plugin": (c_char_p, [Handle]),
    "evl_scorer_published": (c_uint32, [Handle]),
    "evl_scorer_formula": (c_char_p, [Handle]),
    "evl_scorer_class": (c_char_p, [Handle]),
    "evl_scorer_files": (c_int32, [c_char_p, Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_scorer_score": (
        c_int32,
        [Handle, POINTER(Layer), c_double, POINTER(c_double), POINTER(c_uint64), POINTER(_Failure)],
    ),
    "evl_scorer_keep": (
        c_int32,
        [
            Handle,
            POINTER(Layer),
            POINTER(c_double),
            c_uint64,
            POINTER(c_uint8),
            POINTER(c_uint64),
            POINTER(c_double),
            POINTER(_Failure),
        ],
    ),
    "evl_model_open": (c_int32, [Handle, POINTER(c_double), c_uint64, POINTER(Handle), POINTER(_Failure)]),
    "evl_scorer_fits": (c_int32, [Handle, POINTER(Shape), POINTER(_Failure)]),
    "evl_scorer_select": (c_int32, [Handle, POINTER(Layer), POINTER(Selection), POINTER(_Failure)]),
    "evl_model_open_shape": (c_int32, [Handle, POINTER(Selection), POINTER(Handle), POINTER(_Failure)]),
    "evl_model_close": (None, [Handle]),
    "evl_model_add": (c_int32, [Handle, POINTER(Layer), POINTER(_Failure)]),
    "evl_model_keep": (
        c_int32,
        [Handle, c_uint32, POINTER(c_uint8), POINTER(c_uint64), POINTER(c_double), POINTER(_Failure)],
    ),
    "evl_oracle_keep": (
        c_int32,
        [
            POINTER(c_double),
            c_uint64,
            c_uint64,
            c_uint64,
            POINTER(Shape),
            c_uint32,
            POINTER(c_uint8),
            POINTER(_Failure),
        ],
    ),
    "evl_keep_names": (
        c_int32,
        [POINTER(c_uint64), c_uint64, POINTER(c_uint64), c_uint64, POINTER(c_double), POINTER(_Failure)],
    ),
    "evl_cache_fits": (c_int32, [Handle, POINTER(Shape), POINTER(_Failure)]),
    "evl_cache_open": (
        c_int32,
        [
            Handle,
            POINTER(Layer),
            POINTER(CachePlan),
            POINTER(c_uint32),
            POINTER(c_uint64),
            POINTER(Handle),
            POINTER(_Failure),
        ],
    ),
    "evl_cache_close": (None, [Handle]),
    "evl_cache_step": (
        c_int32,
        [Handle, POINTER(Token), POINTER(c_uint32), POINTER(c_uint64), POINTER(c_uint32), POINTER(_Failure)],
    ),
    "evl_memory_open": (c_int32, [POINTER(Handle), POINTER(_Failure)]),
    "evl_memory_close": (None, [Handle]),
    "evl_memory_put": (c_int32, [Handle, POINTER(Layer), c_char_p, POINTER(c_double), POINTER(_Failure)]),
    "evl_suite_folder": (c_int32, [c_char_p, Add, ctypes.c_void_p, POINTER(_Failure)]),
    "evl_suite_hash": (c_int32, [c_char_p, c_char_p, POINTER(_Failure)]),
    "evl_mean_interval": (
        c_int32,
        [POINTER(c_double), c_uint64, POINTER(c_double), POINTER(c_double), POINTER(c_double), POINTER(_Failure)],
    ),
}


def find_library() -> Path:
    """EVICTLAB_LIBRARY, else the build of the sources that this package lies in, else that of the package `evictlab`
    beside it, else beside `evictlab` on the PATH."""
    if named := os.environ.get("EVICTLAB_LIBRARY"):
        if not Path(named).is_file():
            raise ToolError(f"EVICTLAB_LIBRARY is {named}, and there is no such file")
        return Path(named)
    here = Path(__file__).resolve()
    places = [here.parents[3] / "build" / "release" / "lib", here.parents[1] / "evictlab" / "lib"]
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
        """The `evictlab` of the same build or installation, else that on the PATH."""
        program = self.path.resolve().parents[1] / "bin" / "evictlab"
        if program.is_file():
            return program
        if found := shutil.which("evictlab"):
            return Path(found)
        raise ToolError(f"{program}: there is no evictlab beside {self.path}, nor on the PATH")

    def run_program(self, *arguments: str) -> str:
        """What `evictlab` with these arguments prints."""
        command = [str(self.program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{shlex.join(command)} failed: {done.stderr.strip()}")
        return done.stdout

    def mean_interval(self, values: Sequence[float]) -> tuple[float, float, float]:
        """The mean over documents and the ends of its 95 % interval, by the bootstrap of `evictlab report`."""
        found = [c_double() for _ in range(3)]
        given = (c_double * len(values))(*values)
        self.check("evl_mean_interval", given, len(values), *map(ctypes.byref, found))
        mean, low, high = (number.value for number in found)
        return mean, low, high

    def scorer_files(self, texts: str) -> list[Path]:
        """The libraries and formula files that a list of scorers names."""
        found: list[Path] = []
        add = Add(lambda _context, file: found.append(Path(os.fsdecode(file))))
        self.check("evl_scorer_files", os.fsencode(texts), add, None)
        return found

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
        take = Add(lambda _context, folder: found.append(folder))
        self.check("evl_suite_folder", os.fsencode(suite), take, None)
        return Path(os.fsdecode(found[0]))

    def suite_hash(self, suite: str) -> str:
        """As benches of the suite have it."""
        out = ctypes.create_string_buffer(80)
        self.check("evl_suite_hash", suite.encode(), out)
        return out.value.decode()
