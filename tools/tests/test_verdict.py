"""The command evictlab-verdict: what it measures, sums up, keeps and refuses."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import check_schema, encode, make_model, make_source
from verdict_harness import TEXTS, document, verdict_of

from evictlab_tools.binding import Library
from evictlab_tools.companions import Companions
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.uncompressed import Lookup, Uncompressed
from evictlab_tools.verdict import command as command_module
from evictlab_tools.verdict.bounds import LAYER_ORACLE, MODEL_ORACLE, ORACLE
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.correlate import correlate, correlations_to_text
from evictlab_tools.verdict.cost import Cost, mean_cost
from evictlab_tools.verdict.documents import DocumentSet, TokenDocument, read_suite
from evictlab_tools.verdict.journal import Journal
from evictlab_tools.verdict.judge import DocumentRun, Figures, Judge, Masks
from evictlab_tools.verdict.options import parse_retentions
from evictlab_tools.verdict.result import Row, Verdict, to_json
from evictlab_tools.verdict.statistics import mean, ratio, spearman


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
    check_schema(verdict)
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


def test_on_a_terminal_the_table_fits(
    suite: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    verdict_of(suite)
    fitting = capsys.readouterr().out
    assert max(map(len, fitting.splitlines())) <= 80 and "No room for: " in fitting
    assert "too few to tell rows apart" in " ".join(fitting.split())
    verdict_of(suite, "--wide")
    assert "| rank | scorer |" in capsys.readouterr().out


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
