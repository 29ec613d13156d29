"""The model's verdict: judged by a full forward pass under the same masks, head by head, written out here."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import STANDARD, encode, make_model, make_source
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import recompute_weights
from evictlab_tools.binding import Library
from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.companions import Companions
from evictlab_tools.documents import Document
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.models import ModelSource
from evictlab_tools.shapes import kept_count
from evictlab_tools.uncompressed import Lookup, Uncompressed
from evictlab_tools.verdict import command as command_module
from evictlab_tools.verdict.bounds import LAYER_ORACLE, MODEL_ORACLE, ORACLE
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.correlate import correlate, correlations_to_text
from evictlab_tools.verdict.cost import Cost, mean_cost
from evictlab_tools.verdict.divergence import Predictions, compare
from evictlab_tools.verdict.documents import DocumentSet, TokenDocument, read_suite
from evictlab_tools.verdict.journal import Journal
from evictlab_tools.verdict.judge import DocumentRun, Figures, Judge, Masks
from evictlab_tools.verdict.opening import open_scorers
from evictlab_tools.verdict.options import parse_retentions
from evictlab_tools.verdict.result import Row, Verdict, to_json
from evictlab_tools.verdict.statistics import mean, ratio, spearman

TEXTS = [
    "It is a truth universally acknowledged, that 1 single man in possession of 20,000 pounds must be in want.",
    "def truth(man: int) -> bool:\n    return man == 1 and fortune(man) >= 20_000  # universally acknowledged\n\n\n",
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this very short document,",
]
KINDS = ["prose", "code", "legal"]
PROMPT = 70
Mask = dict[int, torch.Tensor]

_reference: dict[int, torch.Tensor] = {}  # layer: what query [N] of KV head [H_kv] sees of key [N]


def _reference_attention(
    module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _mask: Any, _dropout: float = 0, **options: Any
) -> tuple[torch.Tensor, None]:
    heads, tokens = q.shape[1], q.shape[2]
    output = torch.zeros(1, tokens, heads, q.shape[3])
    window = options.get("sliding_window") or tokens
    for head in range(heads):
        kv = head // (heads // k.shape[1])
        for i in range(tokens):
            seen = [j for j in range(max(0, i - window + 1), i + 1) if _reference[module.layer_idx][kv, i, j]]
            weights = (k[0, kv, seen].double() @ q[0, head, i].double() * options["scaling"]).softmax(-1)
            output[0, i, head] = (weights @ v[0, kv, seen].double()).float()
    return output, None


ALL_ATTENTION_FUNCTIONS.register("test_reference", _reference_attention)
ALL_MASK_ATTENTION_FUNCTIONS.register("test_reference", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def document(text: int = 0, prompt: int = PROMPT) -> TokenDocument:
    return TokenDocument(f"text {text}", KINDS[text], "test", tuple(encode(TEXTS[text])), prompt)


def read(model: str, text: int = 0, **options: Any) -> DocumentRun:
    return Judge(make_source(model), **options).read(document(text))


def random_masks(run: DocumentRun, seed: int, share: float = 0.5) -> Masks:
    draw = np.random.default_rng(seed)
    return [draw.random((layer.k.shape[0], run.prompt)) < share for _, layer in sorted(run.layers.items())]


def reference_logits(model: str, run: DocumentRun, masks: Masks) -> torch.Tensor:
    """One pass over all tokens: queries of the continuation do not see what the masks leave out."""
    tokens, n = len(run.document.ids), run.prompt
    seen = [torch.ones(mask.shape[0], tokens, tokens, dtype=torch.bool) for mask in masks]
    for mask, of_layer in zip(masks, seen, strict=True):
        of_layer[:, n:, :n] = torch.from_numpy(mask)[:, None, :]
    return reference_logits_of(model, run, seen)


def reference_logits_of(model: str, run: DocumentRun, seen: Sequence[torch.Tensor]) -> torch.Tensor:
    """One pass over all tokens: what query of KV head sees of key, [layer]: [H_kv][N][N]."""
    _reference.update(enumerate(seen))
    with torch.no_grad():
        output = make_model(model, "test_reference")(input_ids=torch.tensor([run.document.ids]), use_cache=False)
    logits: torch.Tensor = output.logits[0, run.prompt :]
    return logits


@pytest.mark.parametrize("model", STANDARD)
def test_the_continuation_under_masks_is_the_full_forward_under_the_same_masks(model: str) -> None:
    run = read(model)
    masks = random_masks(run, 5)
    (figures,) = run.measure([masks])
    expected = reference_logits(model, run, masks)
    p, q = run.predictions.logits.double().softmax(-1), expected.double().softmax(-1)
    kl = float((p * (p.log() - q.log())).sum(-1).mean())
    targets = torch.tensor(run.document.ids[run.prompt + 1 :])[:, None]
    nll = -(q[:-1].gather(1, targets).log() - p[:-1].gather(1, targets).log()).mean()
    assert figures.kl == pytest.approx(kl, rel=1e-3) and kl > 1e-3
    assert figures.delta_nll == pytest.approx(float(nll), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("model", STANDARD)
def test_keeping_all_changes_nothing(model: str) -> None:
    run = read(model)
    (figures,) = run.measure([[np.ones((2, PROMPT), np.bool_)] * 4])
    assert abs(figures.kl) < 1e-9
    assert abs(figures.delta_nll) < 1e-5


def test_each_head_and_layer_has_a_mask_of_its_own() -> None:
    run = read("llama")
    everything = [np.ones((2, PROMPT), np.bool_) for _ in range(4)]
    seen = set()
    for layer in range(4):
        for head in range(2):
            masks = [mask.copy() for mask in everything]
            masks[layer][head, 10:60] = False
            seen.add(round(run.measure([masks])[0].kl, 12))
    assert len(seen) == 8 and min(seen) > 0


def test_sliding_layers_are_left_alone_unless_asked_for() -> None:
    lab = Lab()
    run = read("gemma3")
    windows = [layer.window for _, layer in sorted(run.layers.items())]
    masks = run.keep(lab.open("knorm@kvpress"), [0.5])[0]
    assert [bool(mask.all()) for mask in masks] == [window > 0 for window in windows]
    (figures,) = run.measure([masks])
    assert figures.cached == 2 * 2 * PROMPT and figures.kept == 2 * 2 * PROMPT // 2
    everywhere = read("gemma3", sliding_layers=True).keep(lab.open("knorm@kvpress"), [0.5])[0]
    assert not any(mask.all() for mask in everywhere)


def test_oracles_keep_what_the_continuation_attends_most() -> None:
    run = read("llama")
    removed = [0.75, 0.5]
    per_head, per_layer = (run.keep_oracle(bound, removed) for bound in (ORACLE, LAYER_ORACLE))
    for number, layer in run.layers.items():
        weights = torch.stack([recompute_weights(layer, head)[PROMPT:, :PROMPT].mean(0) for head in range(6)])
        attention = weights.reshape(2, 3, PROMPT).mean(1).numpy()
        for budget, share in enumerate(removed):
            count = kept_count(PROMPT, share)
            for head in range(2):
                best = set(np.argsort(-attention[head])[:count])
                assert set(np.flatnonzero(per_head[budget][number][head])) == best
            assert per_layer[budget][number].sum() == 2 * count
            assert (attention * per_layer[budget][number]).sum() >= (attention * per_head[budget][number]).sum()


def test_budgets_of_the_whole_model_are_divided_among_the_layers_that_eviction_judges() -> None:
    lab = Lab()
    for architecture in ("llama", "gemma3"):
        run = read(architecture)
        judged = [number for number in sorted(run.layers) if run.is_evicted(number)]
        base = lab.open("knorm@kvpress")
        scores = np.stack([base.score(run.layer_input(number, base)) for number in judged])
        (masks,) = run.keep(lab.open("global@kvpress(knorm@kvpress)"), [0.6])
        kept = np.stack([masks[number] for number in judged])
        assert kept.sum() == scores.size - int(scores.size * 0.6)
        assert scores[kept].min() > scores[~kept].max()
        assert all(masks[number].all() for number in run.layers if number not in judged)
        (oracle,) = run.keep_oracle(MODEL_ORACLE, [0.6])
        attention = np.stack([run.future_attention[number] for number in judged])
        best = np.stack([oracle[number] for number in judged])
        assert best.sum() == len(judged) * attention.shape[1] * kept_count(PROMPT, 0.6)
        assert attention[best].min() >= attention[~best].max()


def test_scorers_see_what_the_models_attention_sees() -> None:
    """Observed attention, from the model's own attention rather than from what the library is given."""
    run = read("qwen3")
    scorer = Lab().open("=cumulative_attn")
    for number, layer in run.layers.items():
        weights = torch.stack([recompute_weights(layer, head)[:PROMPT, :PROMPT].sum(0) for head in range(6)])
        expected = weights.reshape(2, 3, PROMPT).mean(1).numpy()
        np.testing.assert_allclose(scorer.score(run.layer_input(number, scorer)), expected, rtol=1e-4)


def test_compare_is_the_divergence_and_the_change_of_the_likelihood() -> None:
    full = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    evicted = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    first = 0.5 * np.log(0.5 * (1 + np.e)) + 0.5 * np.log(0.5 * (1 + np.e) / np.e)
    assert compare(Predictions(full), evicted, [1]) == pytest.approx((first / 2, np.log((1 + np.e) / np.e) - np.log(2)))


def test_statistics() -> None:
    library = Lab().library
    values = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 16.0])
    found = mean(library, values)
    assert found.value == 6 and 1 < found.low < 6 < found.high < 16
    assert mean(library, values[:1]).text(".2f") == "1.00"
    assert ratio(library, np.log(values) - np.log(2 * values)).text(".2f") == "0.50 [0.50, 0.50]"
    assert np.isnan(mean(library, np.array([1.0, np.nan])).value)
    assert spearman(values, -(values**3)) == -1
    # Ties share their mean rank: ranks 0.5, 0.5, 2 and 0, 1, 2.
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(np.sqrt(3) / 2)
    assert np.isnan(spearman(values, np.ones(6)))


def test_a_correlation_is_the_mean_over_documents_without_rows_that_would_flatter() -> None:
    documents = DocumentSet("made up", "sha256:1", (document(0), document(1)))
    kl = {
        "a@kvpress": [1.0, 3.0],
        "b@kvpress": [2.0, 2.0],
        "c@kvpress": [3.0, 1.0],
        "c@paper": [3.0, 1.0],
        "greedy@paper": [0.0, 0.0],
        "random": [9, 9],
        ORACLE: [0, 0],
    }
    used = {"greedy@paper": np.array([0.6])}
    rows = tuple(
        Row(name, np.array(v)[:, None], np.zeros((2, 1)), used.get(name, np.array([0.5])), False, name.split("@")[0])
        for name, v in kl.items()
    )
    verdict = Verdict(documents, "tiny", "none", (0.5,), rows)

    def bench_row(name: str, figure: float, other: float) -> dict[str, Any]:
        splits = {"test": {"traces": [[figure], [figure]]}}
        return {"scorer": name, "splits": splits, "measures": {"loss": {"test": {"traces": [[other], [other]]}}}}

    bench = {
        "measure": "error",
        "more_measures": ["loss"],
        "retentions": [0.5],
        "traces": {"test": [{"name": "text 0"}, {"name": "text 1"}]},
        "rows": [
            bench_row("a@kvpress", 1, 1),
            bench_row("b@kvpress", 2, 3),
            bench_row("c@kvpress", 3, 2),
            bench_row("c@paper", 3, 2),
            bench_row("greedy@paper", 0, 0),
            bench_row("random", 0, 0),
        ],
    }
    library = Lab().library
    error, loss = correlate(library, verdict, bench)
    assert (error.measure, error.scorers, error.documents, error.estimate.value) == ("error", 3, 2, 0.0)
    assert loss.estimate.value == pytest.approx((0.5 - 0.5) / 2)
    assert "| error | 0.00 [-1.00, 1.00] |" in correlations_to_text([error, loss])
    with pytest.raises(ToolError, match=r"none of the retentions \[0\.5\]"):
        correlate(library, verdict, {**bench, "retentions": [0.25]})


def tiny_suite(folder: Path) -> ModelSource:
    source = make_source("llama")
    texts = [
        Document(f"text {i}", kind, "test", text, "test", "MIT")
        for i, (text, kind) in enumerate(zip(TEXTS, KINDS, strict=True))
    ]
    texts.append(Document("to train on", "prose", "train", "x" + TEXTS[0][::-1], "test", "MIT"))
    capture_suite(source, texts, Settings(PROMPT, 24, dtype="f32"), folder, name="tiny", licence="MIT")
    return source


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tiny_suite(tmp_path / "tiny")
    monkeypatch.setattr(command_module, "open_model", lambda *_: source)
    return tmp_path


def verdict_of(folder: Path, *options: str) -> dict[str, Any]:
    output = folder / "verdict.json"
    scorers = ["--scorers", "knorm@kvpress,snapkv@kvpress:window=8,adakv@kvpress(knorm@kvpress)"]
    command(["tiny", str(folder / "tiny"), *scorers, "--retentions", "0.25,0.5", "-o", str(output), *options])
    result: dict[str, Any] = json.loads(output.read_text())
    return result


def test_a_suite_is_found_by_its_name(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVICTLAB_SUITE_PATH", str(suite))
    arguments = ["--scorers", "knorm@kvpress", "--retentions", "0.5", "-o", str(suite / "by_name.json")]
    command(["tiny", "tiny", *arguments])
    assert json.loads((suite / "by_name.json").read_text())["suite"]["name"] == "tiny"
    with pytest.raises(UsageError, match="tinier: there is no such file or folder, and no captured suite 'tinier'"):
        command(["tiny", "tinier", *arguments])


def test_the_command_measures_a_suite_and_report_reads_it(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of(suite, "--correlate")
    assert verdict["schema"] == "evictlab-verdict/1" and verdict["model"] == "tiny-llama"
    assert [d["name"] for d in verdict["documents"]] == [f"tiny/test/text {i}" for i in range(3)]
    rows = {row["scorer"]: row for row in verdict["rows"]}
    assert set(rows) == {
        "knorm@kvpress",
        "snapkv@kvpress:window=8",
        "adakv@kvpress(knorm@kvpress)",
        "random",
        ORACLE,
        LAYER_ORACLE,
    }
    assert rows["adakv@kvpress(knorm@kvpress)"]["uneven_budgets"] is True
    assert np.array(rows[ORACLE]["kl"]).shape == (3, 2)
    assert np.mean(rows[ORACLE]["kl"]) < np.mean(rows["random"]["kl"])
    assert rows["knorm@kvpress"]["retention_used"] == pytest.approx([17 / 70, 0.5])
    printed = capsys.readouterr().out
    for part in ("The verdict of `tiny-llama` itself", "legal (1) 0.50", "| output_error |", "| attention_loss |"):
        assert part in printed

    library = Lab().library
    assert verdict["suite"]["hash"] == library.suite_hash(str(suite / "tiny"))
    bench = subprocess.run(
        [library.program, "bench", "--suite", suite / "tiny", "--scorers", "knorm@kvpress", "--format", "json"],
        capture_output=True,
        check=True,
    )
    (suite / "bench.json").write_bytes(bench.stdout)
    report = subprocess.run(
        [library.program, "report", "--bench", suite / "bench.json", "--verdict", suite / "verdict.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.returncode == 0, report.stderr
    assert "The verdict of `tiny-llama` itself" in report.stdout


def without_costs(verdict: dict[str, Any]) -> dict[str, Any]:
    measured = ("cost", "kept_bytes")
    rows = [{key: value for key, value in row.items() if key not in measured} for row in verdict["rows"]]
    return {**verdict, "rows": rows}


def test_a_verdict_goes_on_where_it_was_stopped(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = verdict_of(suite)
    journal = suite / "verdict.json.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:20]) + lines[20][:30])  # a stop in the middle of a line
    measured: list[Masks] = []
    measure: Callable[[DocumentRun, Sequence[Masks]], list[Figures]] = DocumentRun.measure

    def count(run: DocumentRun, kept: Sequence[Masks]) -> list[Figures]:
        measured.extend(kept)
        return measure(run, kept)

    monkeypatch.setattr(DocumentRun, "measure", count)
    again = verdict_of(suite)
    assert without_costs(again) == without_costs(whole)
    assert len(measured) == sum(b'"kl"' in line for line in lines[20:])
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("all is finished"))
    assert verdict_of(suite) == again
    with pytest.raises(ToolError, match="another model, version or options"):
        Journal(journal, {"by": "another"})


def test_rows_that_keep_as_many_everywhere_have_uniform_budgets_though_not_k(suite: Path) -> None:
    blocks = "norm_sum@openvino:start=4,recent=8,block=4"
    rows = {row["scorer"]: row for row in verdict_of(suite, "--scorers", blocks)["rows"]}
    assert rows[blocks]["class"]["budgets"] == "uniform" and "uneven_budgets" not in rows[blocks]
    assert rows[blocks]["retention_used"] == pytest.approx([18 / 70, 34 / 70])


def test_rows_say_their_class_and_what_they_cost(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of(suite, "--value-bytes", "1", "--scorers", "=observed_attn,kvzip@kvpress")
    for row in verdict["rows"]:
        cell = 2 * 16 + (4 if row.get("uneven_budgets") else 0)  # a key, a value, and in uneven heads a position
        assert row["kept_bytes"] == [round(used * 70 * 4 * 2 * cell) for used in row["retention_used"]]
    rows = {row["scorer"]: row for row in verdict["rows"]}
    for bound in (ORACLE, LAYER_ORACLE, MODEL_ORACLE):
        assert "class" not in rows.pop(bound) and "cost" not in rows
    assert rows["snapkv@kvpress:window=8"]["class"] == {
        "reads": "q8",
        "query_aware": True,
        "fused_attention": True,
        "passes": 1,
        "calibrated": False,
        "budgets": "uniform",
    }
    assert rows["adakv@kvpress(knorm@kvpress)"]["class"]["budgets"] == "head"
    assert rows["=observed_attn"]["class"]["fused_attention"] is False
    assert rows["kvzip@kvpress"]["class"]["passes"] == 2 and rows["kvzip@kvpress"]["class"]["budgets"] == "model"
    for row in rows.values():
        assert row["cost"]["microseconds"] > 0 and row["cost"]["measured_on"].endswith("1 thread")
    assert verdict["kv_bytes"] == 2 * 2 * 16  # keys and values of 2 heads of 16 numbers
    assert "sharing_layers" not in verdict and "sources" not in verdict  # the second passes were made here
    told = capsys.readouterr().out
    for part in ("| us |", "With two passes over the prompt", "at 0.25 16, at 0.50 32."):
        assert part in told
    plain = verdict_of(suite, "--no-cost", "--scorers", "=observed_attn,kvzip@kvpress")
    assert "kv_bytes" not in plain and not any({"cost", "kept_bytes"} & set(row) for row in plain["rows"])
    assert plain == {key: value for key, value in without_costs(verdict).items() if key != "kv_bytes"}
    for bad in ("0", "65"):
        with pytest.raises(UsageError, match="--value-bytes"):
            verdict_of(suite, "--value-bytes", bad)


def test_second_passes_of_a_suite_are_named_and_others_are_measured_anew(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source("llama")
    Companions(source, suite / "tiny").add()
    manifest = json.loads((suite / "tiny" / "suite.json").read_text())
    hashes = [file["reconstruction"]["sha256"] for file in manifest["files"] if file["split"] == "test"]
    first = verdict_of(suite, "--scorers", "kvzip@kvpress")
    assert first["sources"] == {"reconstruction": f"sha256:{sha256_of_bytes(''.join(hashes).encode())}"}
    measured: list[str] = []
    keep = DocumentRun.keep

    def noted(run: DocumentRun, scorer: Scorer, removed: Sequence[float]) -> list[Masks]:
        measured.append(f"{scorer.text} on {run.document.name}")
        return keep(run, scorer, removed)

    monkeypatch.setattr(DocumentRun, "keep", noted)
    second = replace(document_of(suite, 1), second_pass=None)
    entries = read_suite(suite / "tiny", source, Lab().library)
    others = tuple(second if one.name == second.name else one for one in entries.documents)
    monkeypatch.setattr(command_module, "open_documents", lambda *_: replace(entries, documents=others))
    again = verdict_of(suite, "--scorers", "kvzip@kvpress")
    assert measured == [f"kvzip@kvpress on {second.name}"]
    left = [one for one, name in zip(hashes, names_of(manifest), strict=True) if not second.name.endswith(name)]
    assert again["sources"] == {"reconstruction": f"sha256:{sha256_of_bytes(''.join(left).encode())}"}
    assert "sources" not in verdict_of(suite)  # no row reads them


def names_of(manifest: dict[str, Any]) -> list[str]:
    return [file["document"] for file in manifest["files"] if file["split"] == "test"]


def document_of(suite: Path, index: int) -> TokenDocument:
    found = read_suite(suite / "tiny", make_source("llama"), Lab().library)
    return [one for one in found.documents if one.split == "test"][index]


def test_a_journal_without_costs_is_read_and_a_spoilt_one_is_refused(suite: Path) -> None:
    whole = verdict_of(suite)
    journal = suite / "verdict.json.journal"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    older = [{key: value for key, value in line.items() if key not in ("cost", "cache")} for line in lines]
    journal.write_text("".join(json.dumps(line) + "\n" for line in older))
    plain = verdict_of(suite)  # nothing is known of the machine that measured
    assert plain == {key: value for key, value in without_costs(whole).items() if key != "kv_bytes"}
    for key, value in (("cost", {"microseconds": 1}), ("cost", 3), ("cache", {"numbers": 1, "heads": 2})):
        spoilt = [{**line, key: value} if key in line else line for line in lines]
        journal.write_text("".join(json.dumps(line) + "\n" for line in spoilt))
        with pytest.raises(ToolError, match="not a journal"):
            verdict_of(suite)


def test_the_time_of_scoring_is_that_of_the_machine_which_measured_last() -> None:
    assert mean_cost([]) is None
    costs = [Cost(9.0, "elsewhere"), Cost(1.0, "here"), Cost(3.0, "here")]
    assert mean_cost(costs) == Cost(2.0, "here")


def test_layers_with_a_sliding_window_share_no_budget_of_the_model(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source("gemma3")
    monkeypatch.setattr(command_module, "open_model", lambda *_: source)
    (suite / "essay.txt").write_text(TEXTS[1], encoding="utf-8")
    sizes = ["--prompt", "60", "--continuation", "20", "--retentions", "0.5"]

    def told(scorers: str, *options: str) -> Any:
        output = suite / f"gemma{len(options)}{len(scorers)}.json"
        command(["tiny", str(suite / "essay.txt"), *sizes, "--scorers", scorers, "-o", str(output), *options])
        return json.loads(output.read_text()).get("sharing_layers")

    assert told("global@kvpress(knorm@kvpress)") == [{"layers": 2, "of": 4}]
    assert told("global@kvpress(knorm@kvpress)", "--sliding-layers") is None
    assert told("knorm@kvpress") is None


def test_a_scorer_that_fails_costs_its_own_row(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ToolError, match="1 scorer"):
        verdict_of(suite, "--scorers", "snapkv@kvpress:window=70")
    assert "window=70 on tiny/test/text 0: " in capsys.readouterr().err
    rows = json.loads((suite / "verdict.json").read_text())["rows"]
    assert "knorm@kvpress" in [row["scorer"] for row in rows]
    assert "snapkv@kvpress:window=70" not in [row["scorer"] for row in rows]


def test_texts_are_judged_as_well(suite: Path) -> None:
    (suite / "essay.txt").write_text(TEXTS[1], encoding="utf-8")
    output = suite / "essay.json"
    sizes = ["--prompt", "60", "--continuation", "20", "--scorers", "knorm@kvpress", "--retentions", "0.5"]
    command(["tiny", str(suite / "essay.txt"), *sizes, "-o", str(output)])
    verdict = json.loads(output.read_text())
    assert verdict["documents"][0]["name"] == "essay" and verdict["documents"][0]["prompt"] == 60


def test_wrong_use_is_told(suite: Path) -> None:
    for retentions in ("0", "1.5", "half"):
        with pytest.raises(UsageError, match="--retentions"):
            parse_retentions(retentions)
    with pytest.raises(UsageError, match="no document of the split valid"):
        verdict_of(suite, "--split", "valid")
    description = json.loads((suite / "tiny" / "suite.json").read_text())
    (suite / "tiny" / "suite.json").write_text(json.dumps({**description, "weights": "others"}))
    with pytest.raises(ToolError, match="captured from other weights"):
        verdict_of(suite)


def test_what_is_published_is_said_by_plugins() -> None:
    lab = Lab()
    assert lab.open("snapkv@kvpress").published and lab.open("adakv@kvpress(snapkv@kvpress)").published
    for name in ("h2o", "snapkv", "snapkv@seed", "snapkv@kvpress:window=8", "evolved@real", "=key_norm", "random"):
        assert not lab.open(name).published, name
    assert lab.open("adakv(h2o)").plugin == "adakv" and lab.open("=key_norm").plugin is None


def test_a_method_of_ones_own_may_be_published() -> None:
    toys = Lab().library.path.resolve().parents[1] / "tests" / "plugins" / "published"
    if not toys.is_dir():
        pytest.skip("a build without tests has no such plugin")
    lab = Lab([toys])
    assert lab.open("toy@paper").published and not lab.open("toy@mine").published
    assert "toy@paper" in lab.scorers


def test_files_that_scorers_name_are_told() -> None:
    files = Lab().library.scorer_files("h2o,a@b/mine.so@soft:x=1,adakv(x.formula),=max(1, 2)")
    assert files == [Path("a@b/mine.so"), Path("x.formula")]


def test_random_comes_with_the_scorers_that_are_asked_for() -> None:
    assert list(open_scorers(Lab(), ["knorm@kvpress"])) == ["knorm@kvpress", "random"]
    assert list(open_scorers(Lab(), ["random@seed:seed=7"])) == ["random@seed:seed=7"]


def test_without_the_program_the_verdict_says_how_to_get_its_table(
    suite: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_library: Library) -> Path:
        raise ToolError("there is no evictlab")

    monkeypatch.setattr(Library, "program", property(nowhere))
    assert verdict_of(suite)["rows"]
    told = capsys.readouterr()
    assert "there is no evictlab" in told.err and "`evictlab report --verdict=" in told.err
    assert told.out == ""


def test_documents_that_the_model_cannot_do_carry_no_claim() -> None:
    documents = DocumentSet("made up", "sha256:1", tuple(document(i % 3) for i in range(7)))
    able = Uncompressed(2.0, ((Lookup(80, 82), True),))
    unable = Uncompressed(3.0, ((Lookup(80, 82), True), (Lookup(84, 85), False), (Lookup(86, 88), False)))
    far = np.ones((7, 1))
    far[3] = 100.0
    rows = (
        Row("snapkv@kvpress", far, far * 0.1, np.array([0.5]), False),
        Row("=key_norm", np.ones((7, 1)) * 0.5, far, np.array([0.5]), False),
    )
    made = tuple(unable if i == 3 else able for i in range(7))
    verdict = Verdict(documents, "tiny", "none", (0.5,), rows, made)
    written = to_json(verdict, "a test")
    assert [entry["nll"] for entry in written["documents"]] == [2, 2, 2, 3, 2, 2, 2]
    assert written["documents"][3]["lookups"] == {"asked": 3, "right": 1}
    assert [i for i, entry in enumerate(written["documents"]) if "left_out" in entry] == [3]
    assert "summary" not in written["rows"][0]
    assert verdict.counted == [0, 1, 2, 4, 5, 6]
    assert Verdict(documents, "tiny", "none", (0.5,), rows, (unable,) * 7).counted == list(range(7))


def test_a_verdict_says_what_the_model_makes_of_each_document(tmp_path: Path, suite: Path) -> None:
    text = TEXTS[0]
    at = text.index("must")
    entry = {"document": "truth", "kind": "prose_lookup", "split": "test", "file": "a.txt", "source": "s",
             "licence": "MIT", "answers": [[at, at + 4]]}  # fmt: skip
    (tmp_path / "a.txt").write_text(text)
    manifest = tmp_path / "documents.json"
    manifest.write_text(json.dumps({"format": "evictlab-documents/1", "documents": [entry]}))
    output = tmp_path / "verdict.json"
    sizes = ["--prompt", "70", "--continuation", "25", "--scorers", "knorm@kvpress", "--retentions", "0.5"]
    for _ in range(2):  # from the model, then from the journal
        command(["tiny", str(manifest), *sizes, "-o", str(output)])
        (document,) = json.loads(output.read_text())["documents"]
        ids = encode(text)[:95]
        with torch.no_grad():
            likelihoods = make_model("llama", "eager")(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected = -float(likelihoods[69:94].gather(1, torch.tensor(ids[70:])[:, None]).mean())
        assert document["nll"] == pytest.approx(expected, abs=1e-4)
        assert document["lookups"] == {"asked": 1, "right": 0}
        assert document["left_out"] == "the model answers 0 of 1 lookups without eviction"
