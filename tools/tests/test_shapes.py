"""Shapes: the cut of oracles by hand, and the same sets by the judge, the press and the library."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_model, make_source
from verdict_harness import PROMPT, read, verdict_of

from evictlab_tools.cuts import budgets_of_numbers, oracle_keeps
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.library import Lab, LayerInput
from evictlab_tools.shapes import Budgets, Shape, kept_count, removed_share, shape_of_json
from evictlab_tools.verdict.bounds import ORACLE, bounds_beside
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Judge

LAYER = Shape("layer", "mean", 4, 3, 5)
MODEL = Shape("model", "rank")


def places(mask: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in mask]


def test_an_oracle_keeps_the_blocks_that_hold_most() -> None:
    attention = np.array([[0.0, 1, 9, 0, 3, 3, 8]])
    assert places(oracle_keeps(attention, 3, Shape(block=3))) == [[0, 1, 2]]  # 10, 6 and 8
    assert places(oracle_keeps(attention, 6, Shape(block=3))) == [[0, 1, 2, 6]]
    assert places(oracle_keeps(attention, 2, Shape(block=3))) == [[0, 1, 2]]  # one block at least
    assert oracle_keeps(attention, 7, Shape(block=3)).all()
    assert places(oracle_keeps(attention, 3, Shape(sinks=1, recent=1))) == [[0, 2, 6]]
    assert places(oracle_keeps(np.array([[1.0, 1, 1]]), 2, Shape())) == [[0, 1]]
    both = np.array([[9.0, 9, 1, 1, 8], [7, 7, 0, 0, 9]])
    assert places(oracle_keeps(both, 2, Shape(block=2))) == [[0, 1], [0, 1]]
    assert places(oracle_keeps(both, 2, Shape(), together=True)) == [[0, 1, 4], [4]]
    assert places(oracle_keeps(both, 1, Shape("layer"))) == [[4], [4]]  # 8.5 on the mean
    with pytest.raises(UsageError, match="the first 2 and the last 1 of 7 tokens are to stay"):
        oracle_keeps(attention, 2, Shape(sinks=2, recent=1))


def test_what_is_no_shape_is_refused_by_name() -> None:
    assert Shape().usual and Shape(join="rank").usual and not LAYER.usual
    assert shape_of_json(LAYER.to_json()) == LAYER
    for wrong, message in (
        ({"granularity": "heads"}, "granularity is 'heads', but must be one of head, layer, model"),
        ({"block": 0}, "block is 0, but must be a whole number from 1"),
        ({"sinks": "4"}, "sinks is '4'"),
        ({"blocks": 2}, "is no object of"),
    ):
        with pytest.raises(UsageError, match=message):
            shape_of_json(wrong)


def test_numbers_of_tokens_are_named_by_the_share_that_they_are() -> None:
    budgets = budgets_of_numbers([12, 500], [43, 43])
    assert budgets.retentions == (0.27907, 1.0)
    assert kept_count(43, budgets.removed(0.27907, 43)) == 12
    assert budgets.removed(1.0, 43) == 0.0
    assert budgets_of_numbers([200], [1024]).retentions == (0.195313,)  # 0.1953125, as benches round it
    assert Budgets((0.25,)).removed(0.25, 43) == 0.75
    assert all(kept_count(n, removed_share(k, n)) == k for n in range(1, 300, 7) for k in range(1, n, 5))
    with pytest.raises(UsageError, match="keeps the same tokens"):
        budgets_of_numbers([100, 200], [43])


def test_heads_of_a_layer_or_all_layers_keep_one_set_in_whole_blocks() -> None:
    run, scorer = read("llama"), Lab().open("knorm@kvpress")
    (masks,) = run.keep(scorer, [0.5], LAYER)
    for number, mask in enumerate(masks):
        scores = scorer.score(run.layer_input(number, scorer)).mean(0)
        blocks = [scores[i : i + 4].mean() for i in range(0, PROMPT, 4)]
        first, last = {0}, set(range((PROMPT - 5) // 4, len(blocks)))
        count = kept_count(PROMPT, 0.5) // 4
        rest = sorted(set(range(len(blocks))) - first - last, key=lambda b: -blocks[b])
        stay = first | last | set(rest[: count - len(first | last)])
        expected = [i for i in range(PROMPT) if i // 4 in stay]
        assert places(mask) == [expected] * len(mask)
    (masks,) = run.keep(scorer, [0.5], MODEL)
    assert all((head == masks[0][0]).all() for mask in masks for head in mask)
    assert masks[0][0].sum() == kept_count(PROMPT, 0.5)
    with pytest.raises(UsageError, match="gives heads different numbers of tokens"):
        Lab().open("adakv@kvpress(knorm@kvpress)").check_shape(LAYER)


def test_the_oracle_of_a_shape_holds_most_attention_of_all_who_share_a_set() -> None:
    document = read("llama").document
    scorer = Lab().open("=last_attn")
    for shape in (Shape("layer", "mean", 4), MODEL):
        run = Judge(make_source("llama"), shape=shape).read(document)
        assert bounds_beside([], shape) == [ORACLE]
        (best,), (masks,) = run.keep_oracle(ORACLE, [0.5]), run.keep(scorer, [0.5])
        held = [sum((run.future_attention[i] * of[i]).sum() for i in range(len(of))) for of in (best, masks)]
        assert held[0] >= held[1]
        assert abs(int(best[0][0].sum()) - int(masks[0][0].sum())) < shape.block  # one may have the short block


@pytest.mark.parametrize("shape", [LAYER, MODEL])
def test_a_press_keeps_what_the_judge_keeps(shape: Shape) -> None:
    pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from test_press import kept, run_full  # noqa: PLC0415

    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    ids = encode("a press in a press, " * 8)
    model = make_model("llama", "sdpa")
    full = run_full(model, ids)
    document = TokenDocument("text", "prose", "test", (*ids, *encode("and on")), len(ids))
    run = Judge(make_source("llama")).read(document)
    for press, removed in (
        (EvictlabPress(0.5, "knorm@kvpress", shape=shape), 0.5),
        (EvictlabPress(scorer="knorm@kvpress", shape=shape, keep=40), removed_share(40, len(ids))),
    ):
        sets, _ = kept(model, full, press)
        (masks,) = run.keep(Lab().open("knorm@kvpress"), [removed], shape)
        assert [[sorted(head) for head in layer] for layer in sets] == [places(mask) for mask in masks]
    with pytest.raises(ToolError, match="a press around this one cuts by itself"):
        EvictlabPress(0.5, "knorm@kvpress", shape=shape).score(None, None, None, None, None, {})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="in place of the compression ratio"):
        EvictlabPress(0.5, "knorm@kvpress", keep=40)


@pytest.mark.parametrize("granularity", ["head", "layer", "model"])
def test_a_prompt_shorter_than_a_block_stays_whole_and_one_block_stays_at_least(granularity: str) -> None:
    pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from test_press import kept, run_full  # noqa: PLC0415

    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    ids = encode("a press in a press, " * 8)
    model, scorer, tokens = make_model("llama", "sdpa"), "knorm@kvpress", len(ids)
    full = run_full(model, ids)
    document = TokenDocument("text", "prose", "test", (*ids, *encode("and on")), tokens)
    run = Judge(make_source("llama")).read(document)
    for block, most in ((tokens + 1, tokens), (16, 16)):
        shape = Shape(granularity, block=block)
        (masks,) = run.keep(Lab().open(scorer), [0.99], shape)
        for head in (head for mask in masks for head in places(mask)):
            assert len(head) == min(most, tokens - head[0]) and head[0] % block == 0
            assert head == list(range(head[0], head[0] + len(head)))
        sets, _ = kept(model, full, EvictlabPress(0.99, scorer, shape=shape))
        assert [[sorted(head) for head in layer] for layer in sets] == [places(mask) for mask in masks]


def test_a_layer_of_one_kv_head_is_that_head() -> None:
    draw = np.random.default_rng(5)
    q, k, v = (draw.normal(size=(heads, 40, 8)).astype(np.float32) for heads in (4, 1, 1))
    layer = LayerInput(layer=0, num_layers=1, query_heads=4, q=q, k=k, v=v, softmax_scale=8**-0.5)
    for scorer in map(Lab().open, ("snapkv@kvpress:window=4", "knorm@kvpress")):
        plain = scorer.keep(layer, [0.3, 0.8])
        for join in ("mean", "max", "rank", "share"):
            np.testing.assert_array_equal(scorer.keep(layer, [0.3, 0.8], Shape("layer", join)).mask, plain.mask)
            model = scorer.model([0.3, 0.8], Shape("model", join))
            model.add(layer)
            np.testing.assert_array_equal(model.keep(0).mask, plain.mask)


def test_a_verdict_has_a_shape_and_numbers_of_tokens(
    suite: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError, match="gives heads different numbers of tokens"):
        verdict_of(suite, "--granularity", "layer")
    with pytest.raises(UsageError, match="--join is for --granularity layer and model"):
        verdict_of(suite, "--join", "max")
    with pytest.raises(UsageError, match="give --retentions or --keep, not both"):
        verdict_of(suite, "--keep", "12")
    output = suite / "shaped.json"
    scorers = ["--scorers", "knorm@kvpress,keydiff@kvpress,=last_attn"]
    shape = ["--granularity", "layer", "--block", "4", "--sinks", "3"]
    command(["tiny", str(suite / "tiny"), *scorers, *shape, "--keep", "16", "-o", str(output), "--correlate"])
    verdict = json.loads(output.read_text())
    assert verdict["shape"] == {"granularity": "layer", "join": "mean", "block": 4, "sinks": 3, "recent": 0}
    assert verdict["keep"] == [16]
    assert [row["scorer"] for row in verdict["rows"]] == [
        "knorm@kvpress",
        "keydiff@kvpress",
        "=last_attn",
        "random",
        "oracle",
    ]
    assert all(row["retention_used"][0] <= 16 / PROMPT for row in verdict["rows"])
    assert "Shape: one set for all heads of a layer" in capsys.readouterr().out
