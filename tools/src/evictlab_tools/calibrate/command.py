"""evictlab-calibrate: learns what a model's layers and heads are like from a captured suite's train documents."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evictlab_tools import __version__
from evictlab_tools.calibrate.shares import ROWS, gains, lukv_table, received
from evictlab_tools.calibrate.statistics import Sample, duo_attention, layer_of, read_sample
from evictlab_tools.calibration import CALIBRATION_FILE, Calibration, Doubles, Heads, HeldLayer, install
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.files import check_output, read_json, sha256_of_file
from evictlab_tools.library import Lab, LayerInput, Scorer
from evictlab_tools.progress import Progress
from evictlab_tools.shown import complain, say
from evictlab_tools.suite import SUITE_FILE, SUITE_FORMAT
from evictlab_tools.trace_file import TraceFile

DUO_ATTENTION, LUKV = "duo_attention", "lukv"
LUKV_BASE = "expected_attention@kvpress:epsilon=0.02"  # kvpress's


@dataclass(frozen=True)
class Text:
    """A train document as it was captured."""

    trace: TraceFile
    document: str
    sha256: str

    @property
    def prompt(self) -> int:
        return int(self.trace.metadata["prompt_len"])

    @property
    def tokens(self) -> int:
        return int(self.trace.stored("token_ids").shape[0])

    def sliding_window(self, layer: int) -> int:
        return int(self.trace.metadata["sliding_window"].split(",")[self.trace.layers.index(layer)])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="evictlab-calibrate",
        description="Learns of each layer and head of a model what its queries are like, from the train documents of a "
        "captured suite, and writes it as one file: for Q-Filters, TriAttention, DuoAttention, LU-KV and the columns "
        "query_axis, tri_score and calibrated:NAME. No model is run; equal suites give equal files.",
    )
    made.add_argument("--version", action="version", version=f"evictlab-calibrate {__version__}")
    made.add_argument("suite", metavar="SUITE", help="a captured suite, by name or folder")
    made.add_argument(
        "--out",
        "-o",
        metavar="FILE",
        type=Path,
        help="the file to write (default: in the first --install)",
    )
    made.add_argument(
        "--install",
        action="append",
        metavar="SUITE",
        help="also put the file into this captured suite's folder and name it in its suite.json, where bench, evolve "
        "and evictlab-verdict look for it; of the same model; repeatable",
    )
    made.add_argument(
        "--constants",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="numbers of your own for formulas, as the column calibrated:NAME: JSON, a list for each layer of the "
        "model with a number for each KV head",
    )
    return made


def read_texts(folder: Path) -> tuple[dict[str, Any], list[Text]]:
    suite = read_json(folder / SUITE_FILE)
    if not isinstance(suite, dict) or suite.get("format") != SUITE_FORMAT:
        raise ToolError(f'{folder / SUITE_FILE}: no captured suite: "format" is not "{SUITE_FORMAT}"')
    texts = []
    for entry in suite["files"]:
        if entry["split"] != "train":
            continue
        path = folder / entry["file"]
        if sha256_of_file(path) != entry["sha256"]:
            raise ToolError(f"{path}: is not as suite.json says; fetch or capture the suite again")
        texts.append(Text(TraceFile(path), entry["document"], entry["sha256"]))
    if not texts:
        raise ToolError(
            f"{folder / SUITE_FILE}: has no document of the split train, and others are not for learning from: capture "
            "some with --split train"
        )
    return suite, texts


def heads_of(texts: list[Text]) -> Heads:
    """The same in every layer of every text."""
    found: Heads | None = None
    for text in texts:
        for layer in text.trace.layers:
            q, k = (text.trace.stored(f"layers.{layer}.{name}").shape for name in ("q", "k"))
            heads = Heads(q[0], k[0], q[2])
            if found is not None and heads != found:
                raise ToolError(
                    f"{text.trace.path}: layer {layer} has {heads.query} query heads, {heads.kv} KV heads and a "
                    f"head_dim of {heads.dim}, but others {found.query}, {found.kv} and {found.dim}: a calibration is "
                    "of models whose layers are alike"
                )
            found = heads
    assert found is not None
    return found


def read_constants(given: str, num_layers: int, heads: Heads) -> tuple[str, Doubles]:
    """NAME and [num_layers][H_kv]."""
    name, _, file = given.partition("=")
    if not file or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"--constants {given!r} is not NAME=FILE with a NAME of a-z, 0-9 and _ such as weight=w.json")
    if name == DUO_ATTENTION:
        raise UsageError(f"--constants {given!r}: {DUO_ATTENTION} is computed here; choose another name")
    try:
        values = np.array(read_json(Path(file)), np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (num_layers, heads.kv) or not np.isfinite(values).all():
        raise ToolError(f"{file}: not {num_layers} lists (layers) of {heads.kv} finite numbers (KV heads)")
    return name, values


def base_scores(scorer: Scorer, sample: Sample, layer: int, num_layers: int, text: Text) -> Doubles:
    """[H_kv][prompt]"""
    prompt = slice(text.prompt)
    given = LayerInput(
        layer=layer,
        num_layers=num_layers,
        query_heads=sample.q.shape[0],
        q=sample.q[:, prompt],
        k=sample.k[:, prompt],
        v=sample.v[:, prompt],
        softmax_scale=sample.softmax_scale,
        rope_inv_freq=sample.rope_inv_freq.astype(np.float32),
        rope_scale=sample.rope_scale,
        sliding_window=text.sliding_window(layer),
    )
    return scorer.score(given)


def calibrate(folder: Path, suite_hash: str, constants: list[str], base: Scorer) -> Calibration:
    suite, texts = read_texts(folder)
    heads = heads_of(texts)
    num_layers = int(suite["num_layers"])
    added = dict(read_constants(given, num_layers, heads) for given in constants)
    layers = sorted({layer for text in texts for layer in text.trace.layers})
    held: dict[int, HeldLayer] = {}
    duo = np.empty((len(layers), heads.kv))
    cells: list[dict[int, Doubles]] = [{} for _ in texts]
    with Progress(suite["name"], len(layers), unit="layer") as progress:
        for place, layer in enumerate(layers):
            samples: list[Sample] = []
            for text, of_text in zip(texts, cells, strict=True):
                if layer not in text.trace.layers:
                    continue
                samples.append(read_sample(text.trace, layer))
                if text.prompt < text.tokens:
                    attention = received(samples[-1], text.prompt, text.sliding_window(layer))
                    of_text[layer] = gains(attention, base_scores(base, samples[-1], layer, num_layers, text))
            held[layer] = layer_of(samples)
            duo[place] = duo_attention(samples)
            progress.advance()
    judged = [text for text in cells if text]
    tables = {}
    if set(layers) == {layer for text in judged for layer in text}:
        tables[LUKV] = lukv_table(judged, layers)
    else:
        complain(f"warning: {folder}: no table for LU-KV, which needs texts with a continuation in every layer")
    return Calibration(
        model=suite["model"],
        weights=suite.get("weights", ""),
        num_layers=num_layers,
        heads=heads,
        layers=held,
        suite=suite["name"],
        suite_hash=suite_hash,
        documents=tuple((text.document, text.sha256) for text in texts),
        made_by=f"evictlab-calibrate {__version__}",
        constants={DUO_ATTENTION: duo, **{name: values[layers] for name, values in added.items()}},
        tables=tables,
        options={"lukv_base": base.text, "lukv_rows": ROWS, "constants": sorted(added)},
    )


def _check_installable(folder: Path, calibration: Calibration) -> None:
    suite = read_json(folder / SUITE_FILE)
    if suite.get("model") != calibration.model or suite.get("weights", "") != calibration.weights:
        raise ToolError(
            f"{folder / SUITE_FILE}: is of the model {suite.get('model')} ({suite.get('weights')}), but the "
            f"calibration of {calibration.model} ({calibration.weights}): it is not installed there"
        )
    learned = {name for name, _ in calibration.documents}
    for entry in suite["files"]:
        if entry["split"] != "train" and entry["document"] in learned:
            raise ToolError(
                f"{folder / SUITE_FILE}: its document {entry['document']} is of the split {entry['split']}, but the "
                f"calibration was learned from it in {calibration.suite}: it is not installed there"
            )


def run(given: argparse.Namespace) -> None:
    lab = Lab()
    library = lab.library
    folder = library.suite_folder(given.suite)
    targets = [library.suite_folder(suite) for suite in given.install or []]
    if given.out is None and not targets:
        raise UsageError("nowhere to write to: give --out FILE, or --install SUITE")
    file = given.out or targets[0] / CALIBRATION_FILE
    if given.out is not None:
        traces = [entry for entry in sorted(folder.iterdir()) if entry.name != CALIBRATION_FILE]
        check_output(given.out, traces, "--out")
    calibration = calibrate(folder, library.suite_hash(str(folder)), given.constants, lab.open(LUKV_BASE))
    for target in targets:
        _check_installable(target, calibration)
    calibration.write(file)
    for target in targets:
        install(target, file)
    say(
        f"{file}: {calibration.model}, {len(calibration.layers)} of {calibration.num_layers} layers, from "
        f"{len(calibration.documents)} documents; sha256:{sha256_of_file(file)}"
    )


def main() -> None:
    given = parser().parse_args()
    sys.exit(run_command(lambda: run(given), stopped="nothing was written"))
