"""What the second pass gave for each trace of a suite, in files beside the traces: evictlab-capture --reconstruct.

A suite that was captured without gets them afterwards: its traces say which tokens the model is to read, and nothing of
the suite but the entries of these files in suite.json changes.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from evictlab_tools import __version__
from evictlab_tools.errors import ToolError
from evictlab_tools.files import read_json, sha256_of_bytes, sha256_of_file, write_json, write_whole
from evictlab_tools.masked import ATTENTION, check_continuation
from evictlab_tools.models import ModelSource
from evictlab_tools.progress import Progress
from evictlab_tools.reading import read
from evictlab_tools.reconstruct import CHUNK, GRADIENT_CHUNK, KINDS, Instructions, Replay, instructions
from evictlab_tools.shown import complain
from evictlab_tools.suite import SUITE_FILE, SUITE_FORMAT, companion_name
from evictlab_tools.trace_file import Array, TraceFile, serialise

RECONSTRUCTION_FORMAT = "evictlab-reconstruction/1"
MADE_BY = f"evictlab-capture {__version__}"


def tensor_name(layer: int) -> str:
    return f"layers.{layer}.reconstruction"


@dataclass
class Companions:
    """Of one suite and one model, which is loaded when the first trace needs it."""

    source: ModelSource
    folder: Path
    _model: torch.nn.Module | None = None

    def add(self) -> int:
        """Makes what is missing or does not fit its trace any more; how many the suite then has."""
        path = self.folder / SUITE_FILE
        suite = read_json(path)
        if not isinstance(suite, dict) or suite.get("format") != SUITE_FORMAT:
            raise ToolError(f'{path}: no captured suite: "format" is not "{SUITE_FORMAT}"')
        own = [entry for entry in suite["files"] if self._is_of_this_model(entry)]
        if not own:
            raise ToolError(
                f"{self.folder}: no trace of it was captured from these weights ({self.source.weights}); give the "
                "model that it was captured from"
            )
        if len(own) < len(suite["files"]):
            complain(f"{len(suite['files']) - len(own)} traces of other weights than the model's are left as they are")
        with Progress(f"{self.source.name}, second pass", len(own), unit="document") as progress:
            for entry in own:
                if self._complete(entry):
                    write_json(path, suite)  # so that a stop loses one document
                progress.advance()
        return len(own)

    def _is_of_this_model(self, entry: Mapping[str, Any]) -> bool:
        return TraceFile(self.folder / entry["file"]).metadata.get("weights") == self.source.weights

    def _complete(self, entry: dict[str, Any]) -> bool:
        """Whether the entry was not complete before."""
        told = instructions(self.source.tokenizer.encode_alone)
        sha256 = sha256_of_file(self.folder / entry["file"])
        if sha256 != entry["sha256"]:
            raise ToolError(f"{self.folder / entry['file']}: is not as {SUITE_FILE} says; capture again")
        parameters = self._parameters(sha256, told)
        file = companion_name(entry["file"])
        known = entry.get("reconstruction")
        if known is not None and known.get("parameters") == parameters and known.get("file") == file:
            path = self.folder / file
            if path.is_file() and sha256_of_file(path) == known["sha256"]:
                return False
        data = self._made(TraceFile(self.folder / entry["file"]), sha256, told)
        write_whole(self.folder / file, data)
        entry["reconstruction"] = {"file": file, "sha256": sha256_of_bytes(data), "parameters": parameters}
        return True

    def _parameters(self, sha256: str, told: Instructions) -> str:
        """Hash of all that a file's content follows from."""
        parts = {"by": MADE_BY, "trace": sha256, "weights": self.source.weights, **_facts(told)}
        parts |= self.source.device.field
        return sha256_of_bytes(json.dumps(parts, sort_keys=True).encode())

    def _made(self, trace: TraceFile, sha256: str, told: Instructions) -> bytes:
        if self._model is None:
            self._model = self.source.load(ATTENTION)
        ids = [int(i) for i in trace.stored("token_ids")]
        prompt = int(trace.metadata["prompt_len"])
        step = self.source.device.step(len(ids))
        reading = read(self._model, ids, range(self.source.num_layers), len(ids) - prompt + 1, step)
        check_continuation(self._model, ids, prompt, reading.layers, reading.logits[1:])
        found = Replay(self._model, ids[:prompt], reading.layers, trace.layers, told).run()
        tensors: dict[str, Array] = {
            tensor_name(layer): found[layer].cpu().numpy().astype(np.float32) for layer in found
        }
        metadata = {
            "format": RECONSTRUCTION_FORMAT,
            "trace": sha256,
            "model": self.source.name,
            "weights": self.source.weights,
            "layers": trace.metadata["layers"],
            "prompt_len": str(prompt),
            "document": trace.metadata["document"],
            **_facts(told),
            "captured_by": MADE_BY,
        }
        return serialise(tensors, metadata)


def read_companion(path: Path, sha256: str) -> dict[int, Tensor]:
    """By layer, [KINDS][H_kv][n]. ToolError where the file is not as the suite lists it."""
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise ToolError(f"{path}: is not as {SUITE_FILE} lists it; evictlab-capture --reconstruct makes it anew")
    return {int(name.split(".")[1]): tensor for name, tensor in load_file(path).items()}


def _facts(told: Instructions) -> dict[str, str]:
    """What a second pass was, as its file says it."""
    return {
        "kinds": ",".join(KINDS),
        "chunk": str(CHUNK),
        "gradient_chunk": str(GRADIENT_CHUNK),
        "first_position": str(told.skipped),
        "separator_ids": ",".join(map(str, told.separator)),
        "instruction_ids": ",".join(map(str, told.first)),
        "later_instruction_ids": ",".join(map(str, told.later)),
    }
