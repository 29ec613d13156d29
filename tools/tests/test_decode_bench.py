"""What `evictlab bench --protocol decode` keeps of recorded tokens is what a cache inside the model keeps."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import check_schema, make_source
from test_decode import Watch
from verdict_harness import PROMPT, TEXTS

from evictlab_tools.attention import recompute_weights
from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.cuts import budgets_of_numbers
from evictlab_tools.documents import Document
from evictlab_tools.layer_cache import Slots
from evictlab_tools.library import Lab
from evictlab_tools.verdict.decode import Decoding
from evictlab_tools.verdict.documents import read_suite
from evictlab_tools.verdict.judge import DocumentRun, Judge
from evictlab_tools.verdict.schedule import parse_schedule

KEEP = 24
SCHEDULES = ["every:1", "every:4", "slack:5", "decoding_press:6", "once", "turns"]
# None that ties for equal tokens, as norms of keys do in the first layer: there rounding decides.
SCORERS = ["snapkv@kvpress:window=8", "h2o@paper", "tova@paper", "expected_attention@kvpress", "=0 - position"]
THRESHOLD = "threshold@kvpress:t=-12,window=8(knorm@kvpress)"
ANSWERS = ((PROMPT + 3, PROMPT + 6), (PROMPT + 12, PROMPT + 14))  # characters, each a token behind the first one


def bench_and_run(folder: Path, model: str, schedule: str, scorers: list[str]) -> tuple[dict[str, Any], DocumentRun]:
    source, lab = make_source(model), Lab()
    one = Document("one", "prose", "test", TEXTS[0], "test", "MIT", answers=ANSWERS)
    capture_suite(source, [one], Settings(PROMPT, 24, dtype="f32"), folder, name="tiny", licence="MIT")
    options = [f"--suite={folder}", "--protocol=decode", f"--schedule={schedule}", f"--keep={KEEP}", "--bin=1"]
    found = json.loads(
        lab.library.run_program("bench", *options, f"--scorers={','.join(scorers)}", "--no-cost", "--format=json")
    )
    check_schema(found)
    (document,) = read_suite(folder, source, lab.library).documents
    assert [lookup.past - 1 for lookup in document.lookups] == [PROMPT + 6, PROMPT + 14]
    return found, Judge(source).read(document)


def row_of(bench: dict[str, Any], scorer: str) -> dict[str, Any]:
    """Its figures at the one size of the one document, by name."""
    (row,) = (row for row in bench["rows"] if row["scorer"] == scorer)
    figures = {**row["along"], "largest": row["largest"], "continuation_kept": row["continuation_kept"]}
    return {name: next(iter(by_split["test"].values())) for name, by_split in figures.items()}


def losses(run: DocumentRun, layers: list[dict[int, Slots]], positions: list[int]) -> list[float]:
    """By position, mean over layers and query heads: the attention of the whole run on what is not cached then."""
    sums = torch.zeros(len(positions), dtype=torch.float64)
    for number, held in enumerate(layers):
        layer = run.layers[number]
        heads, group = layer.q.shape[0], layer.q.shape[0] // layer.k.shape[0]
        for head in range(heads):
            weights = recompute_weights(layer, head, torch.tensor(positions))
            for at, position in enumerate(positions):
                kept = float(weights[at][torch.from_numpy(held[position][head // group])].sum())
                sums[at] += (1 - kept) / heads / len(layers)
    found: list[float] = sums.tolist()
    return found


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_where_both_see_the_same_queries_each_cut_keeps_the_same(
    schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorers = [*SCORERS, *([] if schedule.startswith("decoding_press") else [THRESHOLD])]
    bench, run = bench_and_run(tmp_path / "tiny", "one_layer", schedule, scorers)
    how, lab = Decoding(parse_schedule(schedule), budgets_of_numbers([KEEP], [PROMPT])), Lab()
    if schedule != "every:1":
        assert bench["decode"]["schedule"] == schedule
        assert list(bench["decode"]["allowed"]["test"].values()) == pytest.approx(how.allowed([run.document]))
    positions = list(range(PROMPT, len(run.document.ids)))
    for scorer in (*scorers, "oracle"):
        with monkeypatch.context() as patched:
            watch = Watch(patched)
            (figures,) = how.figures(run, None if scorer == "oracle" else lab.open(scorer))
        offline, inside = row_of(bench, scorer), figures.more
        assert inside is not None
        seen = [inside["heads"] * (position + 1) for position in positions]
        used = [cached / tokens for cached, tokens in zip(inside["cached"], seen, strict=True)]
        assert offline["retention_used"] == used, scorer
        assert offline["largest"] == inside["largest"], scorer
        churn = [replaced / inside["heads"] for replaced in inside["replaced"]]
        if scorer == "oracle":  # behind the last query nothing is to come, and rounding decides
            assert offline["churn"][:-1] == churn[:-1]
        else:
            assert offline["churn"] == churn, scorer
            assert offline["continuation_kept"] == pytest.approx(inside["continuation_kept"], rel=1e-12), scorer
        kept = losses(run, watch.layers(), positions)
        assert offline["attention_loss"] == pytest.approx(kept, rel=1e-4, abs=1e-6), scorer


@pytest.mark.parametrize(("schedule", "steps"), [("every:6", 6), ("decoding_press:6", 12), ("once", 24)])
def test_of_several_layers_they_agree_until_what_was_evicted_changes_the_queries(
    schedule: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, run = bench_and_run(tmp_path / "tiny", "llama", schedule, SCORERS)
    how, lab = Decoding(parse_schedule(schedule), budgets_of_numbers([KEEP], [PROMPT])), Lab()
    positions = list(range(PROMPT, PROMPT + steps))
    for scorer in SCORERS:
        with monkeypatch.context() as patched:
            watch = Watch(patched)
            how.figures(run, lab.open(scorer))
        offline = row_of(bench, scorer)["attention_loss"][:steps]
        assert offline == pytest.approx(losses(run, watch.layers(), positions), rel=1e-4, abs=1e-6), scorer
