"""evictlab-capture: texts and a model in, a suite of traces out."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evictlab_tools import __version__
from evictlab_tools.attention import LayerAttention, output_projection, wov_l1
from evictlab_tools.capture_options import parser
from evictlab_tools.companions import Companions
from evictlab_tools.device import device_from
from evictlab_tools.documents import Document, check_names, manifest_files, read_inputs
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.masked import ATTENTION, check_continuation
from evictlab_tools.models import ModelSource, estimate_of, open_model
from evictlab_tools.progress import Progress
from evictlab_tools.reading import Reading, Show, read
from evictlab_tools.sensitivity import sensitivities
from evictlab_tools.shard import Shard, parse_shard
from evictlab_tools.shown import say
from evictlab_tools.suite import MODEL_FILE, Piece, SuiteFolder, would_overwrite
from evictlab_tools.tokenised import TokenisedDocument, tokenise
from evictlab_tools.trace_file import TRACE_FORMAT, TensorStore, put_tensor
from evictlab_tools.uncompressed import Uncompressed, find_lookups, judge

CAPTURED_BY = f"evictlab-capture {__version__}"


@dataclass(frozen=True)
class Settings:
    prompt: int = 1024  # tokens
    continuation: int = 128
    layers: tuple[int, ...] | None = None  # None: all
    dtype: str = "f16"
    wov_l1: bool = False
    output_projection: bool = True
    probes: int = 0  # of the sensitivity of the predictions to heads' outputs


@dataclass
class Capture:
    """A model that is loaded when the first document needs it."""

    source: ModelSource
    settings: Settings
    documents: list[TokenisedDocument]
    _model: torch.nn.Module | None = None

    @property
    def held_layers(self) -> list[int]:
        return sorted({layer for item in self.documents for layer in item.layers})

    def model(self) -> torch.nn.Module:
        if self._model is None:
            self._model = self.source.load(ATTENTION)
        return self._model

    def read(self, item: TokenisedDocument, logits: int = 1, show: Show | None = None) -> Reading:
        """Of the held layers; with probes, of all."""
        wanted = range(self.source.num_layers) if self.settings.probes else item.layers
        return read(self.model(), item.ids, wanted, logits, self.source.device.step(len(item.ids)), show=show)


def parameters_hash(parts: dict[str, Any]) -> str:
    return sha256_of_bytes(json.dumps({"by": CAPTURED_BY, **parts}, sort_keys=True).encode())


def trace_parameters(capture: Capture, item: TokenisedDocument) -> str:
    settings = asdict(capture.settings) | {"layers": item.layers}
    if not capture.settings.probes:  # as before there were any
        del settings["probes"]
    document = asdict(item.document) | {"layers": None, "origin": ""}
    for added in ("answers", "example"):  # as before there were any
        if not document[added]:
            del document[added]
    parts = {"settings": settings, "document": document, "ids": item.ids, "weights": capture.source.weights}
    return parameters_hash(parts | capture.source.device.field)


def make_trace(capture: Capture, item: TokenisedDocument) -> tuple[Iterator[Piece], Uncompressed]:
    """The trace's file, part by part, and what the model makes of the document by itself.

    In memory are the document's keys and values, and queries and copies of one layer at a time.
    """
    settings, store = capture.settings, TensorStore()
    store["token_ids"] = np.array(item.ids, np.int32)
    store["token_type"] = capture.source.tokenizer.token_types(item.ids)

    def show(layer: int, attention: LayerAttention) -> None:
        if layer in item.layers:
            _put_layer(store, layer, attention, settings)

    reading = capture.read(item, settings.continuation + 1, show)
    if settings.probes:
        check_continuation(capture.model(), item.ids, settings.prompt, reading.layers, reading.logits[1:])
        found = sensitivities(capture.model(), item.ids, settings.prompt, reading.layers, settings.probes)
        for layer in item.layers:
            put_tensor(store, f"layers.{layer}.sensitivity", found[layer], "f16")
    text, encode = item.document.text, capture.source.tokenizer.encode
    lookups = find_lookups(text, item.document.answers, item.ids, settings.prompt, encode)
    uncompressed = judge(reading.logits, item.ids, settings.prompt, lookups)
    return store.file(_metadata(capture, item, reading)), uncompressed


def _softmax_scale(layers: Mapping[int, LayerAttention]) -> float:
    scales = sorted({attention.scale for attention in layers.values()})
    if len(scales) > 1:
        raise ToolError(
            f"the layers have different softmax scales ({', '.join(map(str, scales))}), and a trace holds one; capture "
            "them one by one with --layers"
        )
    return scales[0]


def _put_layer(store: TensorStore, layer: int, attention: LayerAttention, settings: Settings) -> None:
    rope = attention.rope
    assert rope is not None

    def put(name: str, tensor: Tensor) -> None:
        put_tensor(store, f"layers.{layer}.{name}", tensor.float().numpy(), settings.dtype)

    put("q", rope.ordered(attention.q[:, :].cpu()))
    put("k", rope.ordered(attention.k.cpu()))
    put("v", attention.v.cpu())
    store[f"layers.{layer}.rope_inv_freq"] = rope.frequencies.numpy().astype(np.float32)
    if rope.factor != 1:
        store[f"layers.{layer}.rope_scale"] = np.array([rope.factor], np.float32)
    if settings.wov_l1:
        store[f"layers.{layer}.wov_l1"] = wov_l1(output_projection(layer, attention), attention.v)


def _metadata(capture: Capture, item: TokenisedDocument, reading: Reading) -> dict[str, str]:
    document, layers = item.document, {layer: reading.layers[layer] for layer in item.layers}
    return {
        "format": TRACE_FORMAT,
        "model": capture.source.name,
        "weights": capture.source.weights,
        "num_layers": str(capture.source.num_layers),
        "layers": ",".join(map(str, item.layers)),
        "prompt_len": str(capture.settings.prompt),
        "softmax_scale": repr(_softmax_scale(layers)),
        "sliding_window": ",".join(str(attention.window) for attention in layers.values()),
        "document": document.name,
        "kind": document.kind,
        "split": document.split,
        "text_source": document.source,
        "licence": document.licence,
        "captured_by": CAPTURED_BY,
    }


def make_model_file(capture: Capture) -> Iterator[Piece]:
    """The output projections of all held layers, part by part."""
    item = TokenisedDocument(capture.documents[0].document, capture.documents[0].ids[:2], tuple(capture.held_layers))
    store = TensorStore()
    for layer, attention in capture.read(item).layers.items():
        if layer in item.layers:
            put_tensor(store, f"layers.{layer}.o_proj", output_projection(layer, attention).cpu().numpy(), "f16")
    return store.file({"model": capture.source.name, "weights": capture.source.weights})


def capture_suite(
    source: ModelSource,
    documents: Sequence[Document],
    settings: Settings,
    folder: Path,
    *,
    name: str,
    licence: str,
    shard: Shard | None = None,
) -> None:
    """Captures what is not finished yet, then writes suite.json; of a shard, its own files alone."""
    check_names(documents)
    capture = Capture(
        source, settings, tokenise(documents, source, settings.prompt, settings.continuation, settings.layers)
    )
    suite = SuiteFolder(folder, shard)
    own = [item for at, item in enumerate(capture.documents) if shard is None or shard.has(at)]
    with Progress(source.name, len(own), unit="document") as progress:
        for item in own:
            parameters = trace_parameters(capture, item)
            file = item.document.file_name
            if not (suite.is_finished(file, parameters) and suite.says_uncompressed(file)):
                data, uncompressed = make_trace(capture, item)
                suite.write(file, parameters, data, uncompressed.to_json())
            progress.advance()
    model_parameters = parameters_hash({"weights": source.weights, "layers": capture.held_layers})
    wanted = settings.output_projection and (shard is None or shard.index == 1)
    if wanted and not suite.is_finished(MODEL_FILE, model_parameters):
        suite.write(MODEL_FILE, model_parameters, make_model_file(capture))
    if shard is not None:
        return
    files = [item.document.file_name for item in capture.documents]
    description: dict[str, Any] = {
        "name": name,
        "model": source.name,
        "weights": source.weights,
        "licence": licence,
        "num_layers": source.num_layers,
        "prompt_len": settings.prompt,
        "continuation_len": settings.continuation,
        "dtype": settings.dtype,
        "captured_by": CAPTURED_BY,
        **source.device.field,
        "files": [file_entry(item, suite) for item in capture.documents],
    }
    if settings.output_projection:
        description["model_file"] = suite.entry(MODEL_FILE)
        files.append(MODEL_FILE)
    suite.finish(description, files)


def file_entry(item: TokenisedDocument, suite: SuiteFolder) -> dict[str, Any]:
    document = item.document
    return {
        **suite.entry(document.file_name),
        "split": document.split,
        "document": document.name,
        "kind": document.kind,
        "layers": list(item.layers),
        "source": document.source,
        "licence": document.licence,
    }


def parse_layers(text: str) -> tuple[int, ...] | None:
    """`all`, or numbers and ranges such as 0,7,12-15."""
    if text == "all":
        return None
    layers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f'--layers {text}: "{part}" is neither a layer nor a range; write all, or 0,7,12-15')
        layers.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(layers))


def _check_numbers(given: argparse.Namespace) -> None:
    if given.prompt < 1 or given.continuation < 1:
        raise UsageError("--prompt and --continuation are at least 1")
    if given.probes < 0:
        raise UsageError("--probes is at least 0")
    if given.threads is not None and given.threads < 1:
        raise UsageError("--threads is at least 1")


def _shard_of(given: argparse.Namespace) -> Shard | None:
    shard = parse_shard(given.shard)
    if shard is not None and given.reconstruct:
        raise UsageError("--reconstruct is of a whole suite: add it to the command that puts the parts together")
    return shard


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    _check_numbers(given)
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    if given.dry_run:
        say(estimate_of(given, captures=True))
        return
    shard = parse_shard(given.shard)
    if shard is not None and given.reconstruct:
        raise UsageError(
            "--reconstruct is of a suite that is captured: add it to the command that puts the parts together"
        )
    if not given.inputs and not given.reconstruct:
        raise UsageError("give manifests or texts to capture, or --reconstruct for a suite that is captured already")
    settings = Settings(
        given.prompt,
        given.continuation,
        parse_layers(given.layers),
        given.dtype,
        given.wov_l1,
        not given.no_output_projection,
        given.probes,
    )
    documents: list[Document] = []
    if given.inputs:
        documents = read_inputs(given.inputs, kind=given.kind, split=given.split, licence=given.text_licence)
    for taken in (Path(given.model), *given.inputs, *manifest_files(given.inputs)):
        if would_overwrite(given.out, taken):
            raise UsageError(f"--out {given.out} holds what is read ({taken}): name a folder of the suite's own")
    source = open_model(given.model, given.revision, device_from(given))
    if given.model_name is not None:
        source = replace(source, name=given.model_name)
    if documents:
        name = given.name or given.out.resolve().name
        capture_suite(source, documents, settings, given.out, name=name, licence=given.licence, shard=shard)
    part = "" if shard is None else f"part {shard.index} of {shard.count} of "
    traces = f"{part}{len(documents)} documents"
    if given.reconstruct:
        traces = f"{Companions(source, given.out).add()} documents and their second passes"
    size = sum(path.stat().st_size for path in given.out.iterdir())
    say(f"{given.out}: {traces} of {source.name}, {size / 1e6:.1f} MB")


def main() -> None:
    sys.exit(run_command(command))
