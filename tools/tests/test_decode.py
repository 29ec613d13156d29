"""The protocol decode in a closed loop: judged by full forward passes under the same sets, and by `evictlab bench`."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import encode, make_model, make_source
from verdict_harness import PROMPT, TEXTS, read, reference_logits_of, tiny_suite

from evictlab_tools.attention import recompute_weights
from evictlab_tools.cuts import budgets_of_numbers
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.layer_cache import LayerCache, Slots, check_decoding
from evictlab_tools.library import Lab, Scorer
from evictlab_tools.shapes import Budgets, Shape
from evictlab_tools.uncompressed import Lookup
from evictlab_tools.verdict import command as command_module
from evictlab_tools.verdict import decode as decode_module
from evictlab_tools.verdict import opening
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.decode import Decoding
from evictlab_tools.verdict.divergence import by_position
from evictlab_tools.verdict.documents import read_suite
from evictlab_tools.verdict.held import HeldLayer
from evictlab_tools.verdict.judge import DocumentRun, Figures, Judge
from evictlab_tools.verdict.schedule import Schedule, parse_schedule

SCORERS = ["knorm@kvpress", "snapkv@kvpress:window=8", "h2o@paper", "tova@paper", "expected_attention@kvpress"]
THRESHOLDS = {"llama_yarn": "threshold@kvpress:t=-12,window=8(knorm@kvpress)"}
THRESHOLDS["gemma3"] = THRESHOLDS["llama_yarn"].replace("-12", "-3.9")


def decoding(schedule: str, *cells: int, **options: Any) -> Decoding:
    return Decoding(parse_schedule(schedule), budgets_of_numbers(cells, [PROMPT]), **options)


class Watch:
    """What each layer's heads hold while the query at a position attends: [layer][position]."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held: dict[HeldLayer, dict[int, Slots]] = {}
        attend: Callable[[HeldLayer, torch.Tensor, int], torch.Tensor] = HeldLayer.attend

        def noted(held: HeldLayer, q: torch.Tensor, position: int) -> torch.Tensor:
            self.held.setdefault(held, {})[position] = [row.copy() for row in held.positions()]
            return attend(held, q, position)

        monkeypatch.setattr(HeldLayer, "attend", noted)

    def layers(self) -> list[dict[int, Slots]]:
        return list(self.held.values())


@pytest.mark.parametrize("scorer", [*SCORERS, "threshold", None])
@pytest.mark.parametrize("model", ["llama_yarn", "gemma3"])
def test_a_step_sees_what_is_cached_then_at_true_positions(
    model: str, scorer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, watch = read(model), Watch(monkeypatch)
    opened = None if scorer is None else Lab().open(THRESHOLDS[model] if scorer == "threshold" else scorer)
    (figures,) = decoding("every:3", 24).figures(run, opened)
    tokens = len(run.document.ids)
    seen = [torch.ones(2, tokens, tokens, dtype=torch.bool) for _ in run.layers]
    for number, of_layer in enumerate(watch.layers()):
        for position, heads in of_layer.items():
            for head, places in enumerate(heads):
                seen[number][head, position] = False
                seen[number][head, position, torch.from_numpy(places)] = True
    expected = reference_logits_of(model, run, seen).double().log_softmax(-1)
    full = run.predictions.logits.double().log_softmax(-1)
    kl = (full.exp() * (full - expected)).sum(-1)
    assert figures.more is not None
    assert figures.more["kl"] == pytest.approx(kl.tolist(), rel=1e-3, abs=1e-7) and figures.kl > 1e-5
    targets = torch.tensor(run.document.ids[PROMPT + 1 :])[:, None]
    change = (full[:-1].gather(1, targets) - expected[:-1].gather(1, targets))[:, 0]
    assert figures.more["delta_nll"] == pytest.approx(change.tolist(), rel=1e-3, abs=1e-5)
    if scorer == "threshold" and model == "llama_yarn":
        assert any(len({len(places) for places in heads}) > 1 for heads in watch.layers()[1].values())


def replay(
    run: DocumentRun, number: int, scorer: Scorer, interval: int, *, keep: int, first: int | None = None
) -> dict[int, Slots]:
    """What the cache of a layer holds while each query attends, fed the queries, keys and values of the whole run."""
    layer = run.layers[number]
    assert layer.rope is not None
    cache = LayerCache(
        scorer, run.layer_input(number, scorer), longest=len(run.document.ids), keep=keep if first is None else first
    )
    positions, held = cache.places, {}
    for position in range(run.prompt, len(run.document.ids)):
        positions = held[position] = [np.append(row, position) for row in positions]
        q, k, v = (x[:, position : position + 1].numpy()[:, 0] for x in (layer.q, layer.k, layer.v))
        kept = cache.step(q, k, v, keep if (position - run.prompt + 1) % interval == 0 else 0)
        if kept is not None:
            positions = [row[slots] for row, slots in zip(positions, kept, strict=True)]
    return held


def same(a: Slots, b: Slots) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("text", SCORERS)
def test_until_the_first_cut_reaches_a_layer_it_keeps_what_the_whole_run_would(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, watch, scorer = read("llama"), Watch(monkeypatch), Lab().open(text)
    decoding("decoding_press:5", 24).figures(run, scorer)
    for number, held in enumerate(watch.layers()):
        offline = replay(run, number, scorer, 5, keep=24, first=PROMPT)
        after_first_cut = PROMPT + 5
        assert len(held[after_first_cut][0]) == 25
        assert all(same(held[at], offline[at]) for at in range(PROMPT, after_first_cut + 1))
        if number == 0:  # what it is given follows from the text alone
            assert all(same(held[at], offline[at]) for at in held)


@pytest.mark.parametrize("interval", [1, 4])
def test_what_is_kept_of_recorded_tokens_is_what_bench_keeps(tmp_path: Path, interval: int) -> None:
    source, lab = tiny_suite(tmp_path / "tiny"), Lab()
    scorers = [*SCORERS, "=cumulative_attn + 0.1 * token_type"]
    command_line: list[Any] = [
        lab.library.program,
        "bench",
        "--suite",
        tmp_path / "tiny",
        "--protocol",
        "decode",
        "--no-cost",
    ]
    command_line += ["--interval", str(interval), "--keep", "24", "--format", "json", "--scorers", ",".join(scorers)]
    bench = json.loads(subprocess.run(command_line, capture_output=True, check=True).stdout)
    rows = {row["scorer"]: row for row in bench["rows"]}
    documents = read_suite(tmp_path / "tiny", source, lab.library).of_splits(["test"]).documents
    runs = [Judge(source).read(document) for document in documents]
    (name,) = rows["knorm@kvpress"]["retention_used"]["test"]
    for text in SCORERS:
        scorer, losses, late = lab.open(text), [], []
        for run in runs:
            held = [replay(run, number, scorer, interval, keep=24) for number in run.layers]
            losses.append(np.mean([_loss(run, number, held[number]) for number in run.layers]))
            late.append(np.mean([_late(run, number, scorer, interval) for number in run.layers]))
        found = rows[text]["measures"]["attention_loss"]["test"]["traces"]
        assert [values[0] for values in found] == pytest.approx(losses, rel=1e-4), text
        assert rows[text]["continuation_kept"]["test"][name] == pytest.approx(float(np.mean(late)), rel=1e-9), text


def _loss(run: DocumentRun, number: int, held: dict[int, Slots]) -> float:
    """Of the continuation's queries: the attention that lies on what is gone, mean over query heads."""
    layer, losses = run.layers[number], []
    group = layer.q.shape[0] // layer.k.shape[0]
    rows = torch.tensor(sorted(held))
    for head in range(layer.q.shape[0]):
        weights = recompute_weights(layer, head, rows)
        for row, position in zip(weights, sorted(held), strict=True):
            losses.append(1 - float(row[torch.from_numpy(held[position][head // group])].sum()))
    return float(np.mean(losses))


def _late(run: DocumentRun, number: int, scorer: Scorer, interval: int) -> float:
    """Bench's `continuation_kept` of a layer: one more token shows what the last cut left."""
    end = len(run.document.ids)
    longer = replace(run, document=replace(run.document, ids=(*run.document.ids, 5)))
    layer = run.layers[number]
    q, k, v = (torch.cat((x[:, :end], x[:, end - 1 : end]), 1) for x in (layer.q, layer.k, layer.v))
    longer.layers = {**run.layers, number: replace(layer, q=q, k=k, v=v)}
    heads = [row[:-1] for row in replay(longer, number, scorer, interval, keep=24)[end]]
    cached = sum(len(row) for row in heads)
    return sum(int((row >= run.prompt).sum()) for row in heads) / (cached * (end - run.prompt) / end)


@pytest.mark.parametrize(
    ("schedule", "most"),
    [("every:1", 24), ("tova", 24), ("every:4", 27), ("slack:4", 27), ("once", 24 + 36), ("decoding_press:4", 73)],
)
def test_the_cache_never_holds_more_than_the_schedule_allows(schedule: str, most: int) -> None:
    run = read("llama")
    (figures,) = decoding(schedule, 24).figures(run, Lab().open("tova@paper"))
    assert figures.more is not None
    heads = figures.more["heads"]
    assert (
        heads == 4 * 2
        and max(figures.more["cached"]) == heads * most
        and figures.more["largest"] == most + 1 - (schedule == "once")
    )
    assert decoding(schedule, 24).allowed([run.document]) == pytest.approx([figures.kept / figures.cached])
    if schedule.startswith("decoding_press"):
        assert max(figures.more["cached"][3:]) == heads * 27


def test_a_cache_with_room_for_all_changes_nothing() -> None:
    run, lab = read("qwen3"), Lab()
    tokens = len(run.document.ids)
    everything = [Decoding(Schedule(), Budgets((1.0,))), decoding("every:1", tokens), decoding("tova", 10 * tokens)]
    for how in everything:
        for scorer in (lab.open("tova@paper"), None):
            (figures,) = how.figures(run, scorer)
            assert abs(figures.kl) < 1e-9 and abs(figures.delta_nll) < 1e-5 and figures.kept == figures.cached
            assert figures.more is not None and figures.more["continuation_kept"] == pytest.approx(1)
            assert not any(figures.more["replaced"])


def test_the_same_figures_again_whatever_else_was_asked() -> None:
    lab = Lab()
    first, again = (decoding("every:2", 20, 40).figures(read("llama"), lab.open("random")) for _ in range(2))
    assert first == again and first[0].kl > first[1].kl


def test_each_schedule_cuts_when_it_says() -> None:
    def cuts(schedule: str, cached: int = 100, capacity: int = 90, turns: tuple[int, ...] = ()) -> list[int]:
        parsed = parse_schedule(schedule)
        return [step for step in range(6) if parsed.due(step, cached, capacity, step in turns)]

    assert cuts("every") == cuts("tova") == cuts("h2o") == [0, 1, 2, 3, 4, 5]
    assert cuts("every:3") == cuts("decoding_press:3") == [2, 5]
    assert cuts("slack:10") == [0, 1, 2, 3, 4, 5] and cuts("slack:11") == []
    assert cuts("once") == [] and cuts("turns", turns=(1, 4)) == [1, 4]
    assert parse_schedule("rkv") == Schedule("every", 128) and parse_schedule("triattention").text == "slack:128"
    assert parse_schedule("decoding_press").text == "decoding_press:512"
    for wrong in ("often", "every:0", "every:x", "once:3", "every:", "every:-1", "turns:2"):
        with pytest.raises(UsageError, match="--schedule"):
            parse_schedule(wrong)


def test_streaming_drives_out_old_tokens_and_a_frozen_cache_takes_no_new_ones() -> None:
    run, lab = read("llama"), Lab()
    (streaming,) = decoding("every:1", 24).figures(run, lab.open("streaming_llm@kvpress"))
    (frozen,) = decoding("every:1", 24).figures(run, lab.open("=0 - position"))
    assert streaming.more is not None and frozen.more is not None
    assert set(streaming.more["replaced"]) == {8} and set(frozen.more["replaced"]) == {0}
    assert frozen.more["continuation_kept"] == 0 and streaming.more["continuation_kept"] > 1


def test_a_text_of_its_own_is_the_likeliest_one_and_is_judged_on_itself() -> None:
    run, lab = read("llama"), Lab()
    tokens = len(run.document.ids)
    cut, whole = decoding("every:1", 24, tokens, generate=True).figures(run, lab.open("knorm@kvpress"))
    assert abs(whole.kl) < 1e-9 < cut.kl
    text = list(run.document.ids[: PROMPT + 1])
    model = make_model("llama", "eager")
    with torch.no_grad():
        while len(text) < tokens:
            text.append(int(model(torch.tensor([text])).logits[0, -1].argmax()))
    taught = Judge(make_source("llama")).read(replace(run.document, ids=tuple(text)))
    (given,) = decoding("every:1", tokens - 2).figures(taught, lab.open("knorm@kvpress"))
    assert given.kl >= 0  # the same text can be read as well
    assert decoding("every:1", 24, generate=True).bounds == []


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tiny_suite(tmp_path / "tiny")
    monkeypatch.setattr(command_module, "open_model", lambda *_: source)
    return tmp_path


def decode_verdict(folder: Path, *options: str, scorers: str = "tova@paper,=0 - position") -> dict[str, Any]:
    output = folder / "decode.json"
    arguments = ["--scorers", scorers, "--protocol", "decode", "-o", str(output), "--bin", "10"]
    command(["tiny", str(folder / "tiny"), *arguments, *(options or ("--keep", "16,40"))])
    result: dict[str, Any] = json.loads(output.read_text())
    return result


def test_the_command_says_how_things_went_along_the_text(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = decode_verdict(suite)
    assert verdict["schema"] == "evictlab-verdict/1" and verdict["protocol"] == "decode"
    used = np.array([16, 40]) * 24 / sum(range(PROMPT + 1, PROMPT + 25))
    decode = {"schedule": "every:1", "text": "given", "bin": 10, "allowed": pytest.approx(used)}
    assert verdict["keep"] == [16, 40] and verdict["decode"] == decode
    rows = {row["scorer"]: row for row in verdict["rows"]}
    assert set(rows) == {"tova@paper", "=0 - position", "random", "oracle"}
    for row in rows.values():
        along = row["along"]
        assert np.array(along["kl"]).shape == np.array(along["delta_nll"]).shape == (3, 2, 3)
        means = np.array(along["kl"]) @ np.array([10, 10, 4]) / 24
        np.testing.assert_allclose(means, row["kl"])
        assert row["retention_used"] == pytest.approx(used)
        assert along["retention_used"][0] == pytest.approx([16 / (PROMPT + at) for at in (5.5, 15.5, 22.5)])
        assert row["largest"] == [17, 41]
    assert (
        rows["=0 - position"]["continuation_kept"] == [0, 0] and rows["=0 - position"]["along"]["churn"][0] == [0] * 3
    )
    assert "answers" not in rows["oracle"]
    assert rows["=0 - position"]["frozen"] == verdict["retentions"] and "frozen" not in rows["tova@paper"]
    told = capsys.readouterr().out
    assert "=0 - position at 16 (0.00), =0 - position at 40 (0.00)." in told and "tova@paper at" not in told
    for part in ("Protocol decode, schedule every:1", "| scorer | cache | 0-9 | 10-19 | 20-23 | churn |", "`oracle`"):
        assert part in told


def test_figures_by_answer_are_those_of_its_tokens(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no document says where"):
        decode_verdict(suite, "--keep", "16", "--schedule", "turns", "--bin", "1")
    lookups = (Lookup(PROMPT + 3, PROMPT + 5), Lookup(PROMPT + 10, PROMPT + 11))
    documents = opening.open_documents

    def with_answers(*arguments: Any) -> Any:
        given = documents(*arguments)
        return replace(given, documents=tuple(replace(one, lookups=lookups) for one in given.documents))

    monkeypatch.setattr(command_module, "open_documents", with_answers)
    found = decode_verdict(suite, "--keep", "16", "--schedule", "turns", "--bin", "1")
    assert found["decode"]["schedule"] == "turns"
    rows = {row["scorer"]: row for row in found["rows"]}
    row = rows["tova@paper"]
    kl, change = np.array(row["along"]["kl"][0][0]), np.array(row["along"]["delta_nll"][0][0][:-1])
    first, second = row["answers"][0][0]
    wrong = {"right": False}  # a random model
    assert first == {"kl": pytest.approx(kl[2:4].mean()), "delta_nll": pytest.approx(change[2:4].mean()), **wrong}
    assert second == {"kl": pytest.approx(kl[9]), "delta_nll": pytest.approx(change[9]), **wrong}
    told = capsys.readouterr().out
    assert "| full cache |  | 0.00 | 0.00 |" in told and "/ 0.00 |" in told.split("By answer")[1]
    used = np.array(row["along"]["retention_used"][0]) * np.arange(PROMPT + 1, PROMPT + 25)
    cells = [17, 18, 19, 20, 16, 17, 18, 19, 20, 21, 16, *range(17, 30)]  # cut behind each answer
    np.testing.assert_allclose(used, cells)


def test_a_verdict_goes_on_where_it_was_stopped(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode_verdict(suite)
    written = (suite / "decode.json").read_bytes()
    journal = suite / "decode.json.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:11]) + lines[11][:40])
    measured: list[Figures] = []
    figures: Callable[[Decoding, DocumentRun, Scorer | None], list[Figures]] = Decoding.figures

    def count(how: Decoding, run: DocumentRun, scorer: Scorer | None) -> list[Figures]:
        measured.extend(figures(how, run, scorer))
        return measured[-2:]

    monkeypatch.setattr(Decoding, "figures", count)
    assert decode_verdict(suite) == whole and (suite / "decode.json").read_bytes() == written
    assert 0 < len(measured) < 3 * 4 * 2
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("all is finished"))
    assert decode_verdict(suite) == whole
    for other in (("--keep", "16"), ("--keep", "16,40", "--schedule", "every:2"), ("--keep", "16,40", "--generate")):
        with pytest.raises(ToolError, match="another model, version or options"):
            decode_verdict(suite, *other)


def test_ctrl_c_stops_between_steps_and_leaves_what_was_finished(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return by_position(*arguments)

    monkeypatch.setattr(decode_module, "by_position", interrupted)

    def stopped() -> None:
        decode_verdict(suite)

    assert run_command(stopped) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not (suite / "decode.json").exists()
    monkeypatch.setattr(decode_module, "by_position", by_position)
    resumed = decode_verdict(suite)
    (suite / "decode.json.journal").unlink()
    assert decode_verdict(suite) == resumed


def test_what_cannot_decode_is_refused_by_name(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = {
        "pyramidkv@kvpress:window=8": "different numbers of tokens by layer or head",
        "global@kvpress(knorm@kvpress)": "numbers of tokens by layer or head|all layers",
        "kvzip@kvpress": "numbers of tokens by layer or head|all layers|second pass",
    }
    for scorer, why in refused.items():
        with pytest.raises(UsageError, match=why):
            decode_verdict(suite, scorers=scorer)
    with pytest.raises(UsageError, match="decoding_press:512 does not cut there"):
        decode_verdict(suite, "--keep", "16", "--schedule", "decoding_press", scorers=THRESHOLDS["gemma3"])
    with pytest.raises(UsageError, match="granularity model"):
        decode_verdict(suite, "--keep", "16", "--granularity", "model")
    for option in (["--schedule", "tova"], ["--generate"], ["--bin", "4"]):
        with pytest.raises(UsageError, match=f"{option[0]} is for --protocol decode"):
            command(["tiny", str(suite / "tiny"), *option])
    for options, why in (
        (["--correlate"], "--correlate"),
        (["--bin", "0"], "--bin"),
        (["--generate", "--schedule", "turns"], "--schedule turns"),
        (["--serve"], "no meaning with --serve"),
    ):
        with pytest.raises(UsageError, match=why):
            command(["tiny", str(suite / "tiny"), "--protocol", "decode", "--scorers", "random", *options])
    capsys.readouterr()


def test_all_leaves_out_what_cannot_decode(capsys: pytest.CaptureFixture[str]) -> None:
    opened = opening.open_scorers(Lab(), ["all"], check=check_decoding)
    assert "tova@paper" in opened and "pyramidkv@paper" not in opened and "kvzip@kvpress" not in opened
    assert "all leaves out" in capsys.readouterr().err


def test_heads_of_a_layer_may_share_their_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    run, watch = read("llama"), Watch(monkeypatch)
    shape = Shape(granularity="layer", sinks=2, recent=3)
    run = Judge(run.judge.source, shape=shape).read(run.document)
    decoding("every:2", 24).figures(run, Lab().open("tova@paper"))
    for of_layer in watch.layers():
        for position, heads in of_layer.items():
            assert np.array_equal(heads[0], heads[1]) and list(heads[0][:2]) == [0, 1]
            assert set(range(position - 2, position + 1)) <= set(heads[0])


def test_tokens_that_do_not_fit_are_refused() -> None:
    run, scorer = read("llama"), Lab().open("knorm@kvpress")
    cache = LayerCache(scorer, run.layer_input(0, scorer), longest=PROMPT + 1, keep=10)
    assert [len(row) for row in cache.places] == [10, 10]
    layer = run.layers[0]
    q, k, v = (x[:, PROMPT : PROMPT + 1].numpy()[:, 0] for x in (layer.q, layer.k, layer.v))
    with pytest.raises(ValueError, match=r"q is \[2, 16\], not \[6, 16\]"):
        cache.step(k, k, v, 0)
    assert cache.step(q, k, v, 0) is None
    with pytest.raises(UsageError, match="there is room for 71"):
        cache.step(q, k, v, 0)
    with pytest.raises(UsageError, match="can only be closed"):
        cache.step(q, k, v, 0)
    bad = LayerCache(scorer, run.layer_input(0, scorer), longest=PROMPT + 2, removed=0.5)
    with pytest.raises(ToolError, match=r"token\.k has a value that is not finite at head 0"):
        bad.step(q, np.full_like(k, np.nan), v, 0)
    assert len(encode(TEXTS[0])) > PROMPT
