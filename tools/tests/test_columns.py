"""What a formula or a method reads is the same for the bench, a search, verdicts, presses and the tuner.

Kept sets are compared token by token; what the bench kept, which it does not write down, by the attention that it lost.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_model, make_source
from exported import export, press_of
from numpy.typing import NDArray

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from test_capture import text  # noqa: E402
from test_press import Full, Sets, kept, run_full, undecided  # noqa: E402
from test_second_pass import tokenizer  # noqa: E402
from test_tuning import BAD_START  # noqa: E402

from evictlab_tools.calibrate.command import calibrate  # noqa: E402
from evictlab_tools.calibration import CALIBRATION_FILE, install  # noqa: E402
from evictlab_tools.capture import Settings, capture_suite  # noqa: E402
from evictlab_tools.companions import Companions  # noqa: E402
from evictlab_tools.documents import Document  # noqa: E402
from evictlab_tools.errors import ToolError, UsageError  # noqa: E402
from evictlab_tools.library import Lab  # noqa: E402
from evictlab_tools.press import EvictlabPress  # noqa: E402
from evictlab_tools.tuning.directions import Directions  # noqa: E402
from evictlab_tools.tuning.place import Here, read_run  # noqa: E402
from evictlab_tools.tuning.tuner import Settings as TuningSettings  # noqa: E402
from evictlab_tools.tuning.tuner import Tuner, judge_of  # noqa: E402
from evictlab_tools.verdict.documents import read_suite  # noqa: E402
from evictlab_tools.verdict.judge import DocumentRun, Judge  # noqa: E402

PROMPT, CONTINUATION, REMOVED = 70, 12, 0.5
NEEDS_PASS = ["reconstruction_attn", "reconstruction_attn:plus", "reconstruction_attn:grad"]
NEEDS_CALIBRATION = ["query_axis", "tri_score:future=64", "calibrated:mine*key_norm", "rank:calibrated:lukv:row=9"]
NEEDS_PROJECTION = ["leave_one_out:8:wo", "head_share:wov_norm"]
COLUMNS = [
    *NEEDS_PASS,
    *NEEDS_CALIBRATION,
    *NEEDS_PROJECTION,
    "leave_one_out:8",
    "defensive_attn:8:pool=3",
    "key_leverage",
    "non_causal_attn:16*value_norm",
    "key_share:16",
    "value_share:0",
    "capacity:tau=1:future=64",
    "key_redundancy",
    "group_max_attn:8:pool=3",
    "window_var:8",
    "window_entropy:8",
    "layer_share:key_norm",
    "head_mean:defensive_attn:32:pool=5",
    "value_norm/layer_mean:value_norm",
    "zscore:observed_attn - zscore:reconstruction_attn",
]
CALIBRATED = [
    "qfilter@kvpress",
    "qfilter@paper:window=8",
    "triattention@paper",
    "triattention@per_head",
    "triattention@union",
    "lukv@kvpress(expected_attention@kvpress:epsilon=0.02)",
    "duo_attention@kvpress:sinks=4,recent=16",
    "duo_attention@matched:sinks=4,recent=16",
]
TWO_PASS = ["kvzip@kvpress", "kvzip@kvpress:layerwise=1", "kvzip_plus@kvpress", "kvgrad@kvpress"]
OF_MODELS = ["global@kvpress(snapkv@kvpress:window=8)", "cake@paper:window=8", "layer_defensivekv@paper:window=8"]
THRESHOLDS = ["threshold@kvpress:t=-6,window=9(knorm@kvpress)"]


@dataclass
class Tiny:
    """A captured suite of a tiny model with all that columns may read, and its test document in the model."""

    folder: Path
    bare: Path  # the same documents and nothing else
    calibration: Path
    lab: Lab
    run: DocumentRun
    full: Full
    model: Any

    def masks(self, scorer: str) -> list[NDArray[np.bool_]]:
        """What a verdict keeps, by layer [H_kv][n]."""
        return self.run.keep(self.lab.open(scorer), [REMOVED])[0]

    def scores(self, scorer: str) -> list[NDArray[np.float64]]:
        opened = self.lab.open(scorer)
        self.run.prepare(opened)
        return [opened.score(self.run.layer_input(layer, opened), REMOVED) for layer in range(4)]

    def pressed(self, press: Any) -> Sets:
        return kept(self.model, self.full, press)[0]


def evictlab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program: list[str | Path] = [Lab().library.program, *arguments]
    return subprocess.run(program, check=False, capture_output=True, text=True)


def captured(folder: Path) -> Path:
    documents = [
        Document(f"doc {i}", "prose", split, text(i, PROMPT + CONTINUATION), f"source {i}", "MIT")
        for i, split in enumerate(("train", "valid", "test"))
    ]
    settings = Settings(prompt=PROMPT, continuation=CONTINUATION, dtype="f32")
    capture_suite(make_source("llama"), documents, settings, folder, name="tiny", licence="MIT")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    torch.set_num_threads(1)
    folder = captured(tmp_path_factory.mktemp("tiny") / "suite")
    bare = captured(tmp_path_factory.mktemp("bare") / "suite")
    described = json.loads((bare / "suite.json").read_text())
    (bare / described.pop("model_file")["file"]).unlink()
    (bare / "suite.json").write_text(json.dumps(described))
    Companions(make_source("llama"), folder).add()
    mine = folder.parent / "mine.json"
    mine.write_text(json.dumps([[layer + 1, 3 - layer / 2] for layer in range(4)]))
    lab = Lab()
    made = calibrate(folder, lab.library.suite_hash(str(folder)), [f"mine={mine}"], lab.open("keydiff@kvpress"))
    made.write(folder / CALIBRATION_FILE)
    install(folder, folder / CALIBRATION_FILE)
    lab.calibrate(folder / CALIBRATION_FILE)
    source = make_source("llama")
    document = read_suite(folder, source, lab.library).documents[2]
    model = make_model("llama", "sdpa")
    run = Judge(source, threads=1).read(document)
    return Tiny(folder, bare, folder / CALIBRATION_FILE, lab, run, run_full(model, list(document.ids[:PROMPT])), model)


def bench(folder: Path, scorers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows by scorer."""
    asked = [part for scorer in scorers for part in ("--scorers", scorer)]
    command = ["--no-cost", "--by-trace", "--format", "json", "--retention", str(1 - REMOVED)]
    done = evictlab("bench", "--suite", folder, *command, "--measure", "attention_loss", *asked)
    assert done.returncode == 0, done.stderr
    return {row["scorer"]: row for row in json.loads(done.stdout)["rows"]}


def lost(run: DocumentRun, masks: Sequence[NDArray[np.bool_]]) -> float:
    """The share of the continuation's attention that lies on what is not kept: mean over queries, heads and layers."""
    shares = []
    for layer, mask in enumerate(masks):
        attention = run.layers[layer]
        assert isinstance(attention.q, torch.Tensor)
        q, k = attention.q.double().numpy(), attention.k.double().numpy()
        group = q.shape[0] // k.shape[0]
        for head in range(q.shape[0]):
            for i in range(PROMPT, q.shape[1]):
                logits = k[head // group, : i + 1] @ q[head, i] * attention.scale
                weights = np.exp(logits - logits.max())
                shares.append(weights[:PROMPT][~mask[head // group]].sum() / weights.sum())
    return float(np.mean(shares))


def sets_of(masks: Sequence[NDArray[np.bool_]]) -> Sets:
    return [[set(np.flatnonzero(head).tolist()) for head in layer] for layer in masks]


def same(ours: Sets, theirs: Sets, scores: Sequence[NDArray[np.float64]] | None = None) -> None:
    """Equal; with scores but for what rounding decides."""
    for layer, (our_layer, their_layer) in enumerate(zip(ours, theirs, strict=True)):
        for head, (our_set, their_set) in enumerate(zip(our_layer, their_layer, strict=True)):
            if our_set != their_set:
                assert scores is not None and undecided(our_set, their_set, scores[layer][head]), (layer, head)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_formula_keeps_the_same_in_verdicts_and_presses(tiny: Tiny, column: str) -> None:
    masks, scores = tiny.masks(f"={column}"), tiny.scores(f"={column}")
    assert {int(mask.sum()) for mask in masks} == {2 * PROMPT // 2}
    given = {"calibration": tiny.calibration, "tokenizer": tokenizer()}
    same(tiny.pressed(EvictlabPress(REMOVED, f"={column}", **given)), sets_of(masks), scores)
    if "reconstruction" in column:
        done = evictlab("export", f"={column}", "--to", "kvpress", "--output", tiny.folder / "refused.py")
        assert done.returncode == 2 and "second pass" in done.stderr
        return
    module = export(column, tiny.calibration if column in NEEDS_CALIBRATION else None)
    same(tiny.pressed(press_of(module)(REMOVED)), sets_of(masks), scores)


def test_what_the_bench_keeps_is_what_verdicts_keep(tiny: Tiny) -> None:
    scorers = [f"={column}" for column in COLUMNS] + CALIBRATED + TWO_PASS + OF_MODELS + THRESHOLDS
    rows = bench(tiny.folder, scorers)
    for scorer in scorers:
        masks = tiny.masks(scorer)
        row = next(row for name, row in rows.items() if scorer in (name, f"={row.get('formula', '')}", row["scorer"]))
        used = row["retention_used"]["test"]["0.50"]
        assert used == pytest.approx(np.stack(masks).mean(), rel=1e-12), scorer
        assert row["splits"]["test"]["avg"] == pytest.approx(lost(tiny.run, masks), rel=2e-6), scorer


@pytest.mark.parametrize("scorer", [*CALIBRATED, *TWO_PASS, *OF_MODELS, *THRESHOLDS])
def test_a_method_keeps_the_same_in_presses_and_verdicts(tiny: Tiny, scorer: str) -> None:
    press = EvictlabPress(REMOVED, scorer, calibration=tiny.calibration, tokenizer=tokenizer())
    same(tiny.pressed(press), sets_of(tiny.masks(scorer)))


def test_a_search_measures_what_the_bench_measures(tiny: Tiny, tmp_path: Path) -> None:
    formula = " + ".join(f"({column})" for column in COLUMNS)
    state = tmp_path / "state.json"
    small = ["--population", "4", "--tuned", "0", "--evaluations", "1", "--retention", str(1 - REMOVED)]
    done = evictlab("evolve", "--suite", tiny.folder, "--state", state, "--start", f"={formula}", *small, "--quiet")
    assert done.returncode == 0, done.stderr
    done = evictlab("evolve", "--suite", tiny.bare, "--state", tmp_path / "other", "--start", f"={formula}", *small)
    assert done.returncode == 2 and "asks for the column" in done.stderr
    row = next(row for row in bench(tiny.folder, [f"={formula}"]).values() if row["kind"] == "formula")
    run = json.loads(state.read_text())["run"]
    for split in ("train", "valid"):  # a search counts in the best published method's error
        measured = run["champions"][0][split]["average"] * run["suite"]["reference"][split][0]
        assert measured == pytest.approx(row["measures"]["output_error"][split]["avg"], rel=1e-9)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_tuners_slopes_are_the_columns_values(tiny: Tiny, column: str) -> None:
    directions = Directions(tiny.lab, f"0.5*({column}) + position", [column])
    point = directions.at(directions.origin)
    run = read_run(judge_of(make_source("llama"), sliding_layers=False, threads=1), tiny.run.document)
    point.prepare(run)
    opened = tiny.lab.open(f"={column}")
    run.prepare(opened)
    for layer in (0, 3):
        own = point.scorer.score(run.layer_input(layer, point.scorer))
        values = opened.score(run.layer_input(layer, opened))
        first, term = point.slopes(run, layer, own)[[0, -1]]
        np.testing.assert_array_equal(term, values)
        np.testing.assert_allclose(
            first, values, rtol=1e-6, atol=1e-9 * np.abs(own).max() + 1e-6 * np.abs(values).max()
        )


def test_a_round_of_tuning_takes_all_columns_as_terms(tiny: Tiny) -> None:
    judge = judge_of(make_source("llama"), sliding_layers=False, threads=1)
    document = tiny.run.document
    here, names = Here(judge, tiny.lab, {document.name: document}), [document.name]
    tuner = Tuner(here, names, names, TuningSettings((0.5,), (1.0,), tuple(COLUMNS), 3))
    directions = Directions(tiny.lab, BAD_START, tuner.settings.terms)
    found = tuner.round(directions.at(directions.origin), 1)
    assert found.better and found.after.mean() < found.before.mean() - 0.1
    assert tiny.lab.open("=" + found.point.formula)


def test_what_is_not_there_is_refused_by_name(tiny: Tiny) -> None:
    for columns, why in (
        (NEEDS_PASS, "second pass"),
        (NEEDS_CALIBRATION, "evictlab-calibrate"),
        (NEEDS_PROJECTION, "model.safetensors"),
    ):
        for column in columns:
            done = evictlab("bench", "--suite", tiny.bare, "--scorers", f"={column}")
            assert done.returncode == 2 and why in done.stderr, column
            assert column.split("*")[0].removeprefix("rank:") in done.stderr.replace("\\", "")
    for column in NEEDS_CALIBRATION:
        with pytest.raises(ToolError, match="evictlab-calibrate"):
            EvictlabPress(REMOVED, f"={column}")
        with pytest.raises(ToolError, match=r"term .*evictlab-calibrate"):
            Directions(Lab(), "position", [column])
        done = evictlab("export", f"={column}", "--to", "kvpress", "--output", tiny.folder / "refused.py")
        assert done.returncode == 2 and "reads a calibration" in done.stderr
    for use in (Lab().open, lambda name: EvictlabPress(REMOVED, name)):
        with pytest.raises(UsageError, match="finds its threshold on the train split"):
            use("threshold@matched(knorm@kvpress)")
    assert not any("@matched(" in name for name in tiny.lab.scorers)
