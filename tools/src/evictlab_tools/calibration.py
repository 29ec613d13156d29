"""Calibration files: what was learned once of a model's layers and heads. docs/calibration.md describes them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from evictlab_tools.errors import ToolError
from evictlab_tools.files import read_json, sha256_of_file, write_json, write_whole
from evictlab_tools.suite import SUITE_FILE
from evictlab_tools.trace_file import Array, serialise

CALIBRATION_FORMAT = "evictlab-calibration/1"
CALIBRATION_FILE = "calibration.safetensors"

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Heads:
    """The heads of every layer."""

    query: int
    kv: int
    dim: int

    @property
    def group(self) -> int:
        return self.query // self.kv


@dataclass(frozen=True)
class HeldLayer:
    """Of one layer: see docs/calibration.md."""

    query_axis: Doubles  # [H_kv][d]
    query_mean: Doubles  # [H_q][d]
    query_abs_mean: Doubles  # [H_q][d / 2]


@dataclass(frozen=True)
class Calibration:
    model: str
    weights: str
    num_layers: int
    heads: Heads
    layers: Mapping[int, HeldLayer]
    suite: str
    suite_hash: str
    documents: tuple[tuple[str, str], ...]  # name, SHA-256 of its trace
    made_by: str
    constants: Mapping[str, Doubles] = field(default_factory=dict)  # [held][H_kv], held layers ascending
    tables: Mapping[str, Doubles] = field(default_factory=dict)  # [rows][held][H_kv]
    options: Mapping[str, Any] = field(default_factory=dict)

    def tensors(self) -> dict[str, Array]:
        found: dict[str, Any] = {}
        for layer in sorted(self.layers):
            held = self.layers[layer]
            found[f"layers.{layer}.query_axis"] = held.query_axis
            found[f"layers.{layer}.query_mean"] = held.query_mean
            found[f"layers.{layer}.query_abs_mean"] = held.query_abs_mean
        found |= {f"constants.{name}": values for name, values in self.constants.items()}
        found |= {f"tables.{name}": values for name, values in self.tables.items()}
        floats: dict[str, Array] = {name: np.asarray(values, np.float32) for name, values in found.items()}
        for name, values in floats.items():
            if not np.isfinite(values).all():
                raise ToolError(f"{name} has values that are not finite; capture the suite again")
        return floats

    def metadata(self) -> dict[str, str]:
        return {
            "format": CALIBRATION_FORMAT,
            "model": self.model,
            "weights": self.weights,
            "num_layers": str(self.num_layers),
            "query_heads": str(self.heads.query),
            "kv_heads": str(self.heads.kv),
            "head_dim": str(self.heads.dim),
            "layers": ",".join(str(layer) for layer in sorted(self.layers)),
            "suite": self.suite,
            "suite_hash": self.suite_hash,
            "documents": json.dumps([{"document": name, "sha256": sha256} for name, sha256 in self.documents]),
            "options": json.dumps(dict(self.options), sort_keys=True),
            "made_by": self.made_by,
        }

    def write(self, path: Path) -> None:
        write_whole(path, serialise(self.tensors(), self.metadata()))


@dataclass(frozen=True)
class CalibrationFile:
    """One that is read: what it is of."""

    path: Path
    sha256: str
    model: str
    weights: str
    documents: frozenset[str]

    def check_weights(self, weights: str) -> None:
        if self.weights and self.weights != weights:
            raise ToolError(
                f"{self.path}: a calibration of other weights ({self.weights}) than the model's ({weights}); make one "
                "of this model with evictlab-calibrate"
            )

    def check_documents(self, names: Iterable[str]) -> None:
        """`names`: of documents that judge."""
        if shared := sorted(self.documents & set(names)):
            raise ToolError(
                f"{self.path}: was learned from the document {shared[0]}, which is among those that judge here: what "
                "judges must not be learned from"
            )


def open_calibration(path: Path) -> CalibrationFile:
    try:
        with cast("Any", safe_open(str(path), framework="np")) as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ToolError(f"{path}: no readable safetensors file: {error}") from None
    if metadata.get("format") != CALIBRATION_FORMAT:
        raise ToolError(f'{path}: no calibration: "format" in its metadata is not "{CALIBRATION_FORMAT}"')
    try:
        documents = frozenset(str(entry["document"]) for entry in json.loads(metadata["documents"]))
    except (KeyError, TypeError, ValueError):
        raise ToolError(f'{path}: "documents" in its metadata does not say what it was learned from') from None
    return CalibrationFile(
        path, sha256_of_file(path), metadata.get("model", ""), metadata.get("weights", ""), documents
    )


def calibration_of_suite(folder: Path) -> CalibrationFile | None:
    """The one that suite.json names."""
    suite = read_json(folder / SUITE_FILE)
    entry = suite.get("calibration_file") if isinstance(suite, dict) else None
    if entry is None:
        return None
    found = open_calibration(folder / Path(entry["file"]).name)
    if found.sha256 != entry["sha256"]:
        raise ToolError(f"{found.path}: its SHA-256 is {found.sha256}, but suite.json says {entry['sha256']}")
    return found


def install(folder: Path, file: Path) -> None:
    """Names the calibration in the suite's suite.json, and puts it beside the traces where it lies elsewhere."""
    suite = read_json(folder / SUITE_FILE)
    target = folder / CALIBRATION_FILE
    if not target.exists() or not target.samefile(file):
        write_whole(target, file.read_bytes())
    suite["calibration_file"] = {"file": CALIBRATION_FILE, "sha256": sha256_of_file(target)}
    write_json(folder / SUITE_FILE, suite)
