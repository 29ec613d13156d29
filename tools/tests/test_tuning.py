"""Tuning by gradients: the derivatives are what single tokens do, and constants go where the model is better off."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import STANDARD, make_source
from verdict_harness import KINDS, PROMPT, TEXTS, document

from evictlab_tools.capture import Settings as CaptureSettings
from evictlab_tools.capture import capture_suite
from evictlab_tools.documents import Document
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.library import USUAL, Lab
from evictlab_tools.masked import PromptLayer
from evictlab_tools.shapes import Shape
from evictlab_tools.tuning import boundary as boundary_module
from evictlab_tools.tuning import command as command_module
from evictlab_tools.tuning.boundary import Boundary, boundary, side_deviations, standing
from evictlab_tools.tuning.budgets import UNIFORM, scorer_within
from evictlab_tools.tuning.command import command
from evictlab_tools.tuning.constants import Constants
from evictlab_tools.tuning.directions import Direction, Directions, Point, layer_factor
from evictlab_tools.tuning.place import Here
from evictlab_tools.tuning.proposer import GradientProposer
from evictlab_tools.tuning.pull import Pull
from evictlab_tools.tuning.step import Field, Readings, steepest
from evictlab_tools.tuning.through_model import Chosen, attend, divergences
from evictlab_tools.tuning.tuner import Round, Settings, Tuner, judge_of
from evictlab_tools.tuning.units import Units, check_gradients
from evictlab_tools.verdict.judge import DocumentRun

BAD_START = "0.2*observed_attn - 0.5*rank:window_attn:8"  # throws away first what the model looks at


def position(directions: Directions, step: dict[Direction, float]) -> np.ndarray:
    return np.array([step.get(one, 0.0) for one in directions.all])


def read(model: str, text: int = 0) -> DocumentRun:
    return judge_of(make_source(model), sliding_layers=False, threads=1).read(document(text))


def all_tokens(run: DocumentRun, masks: list[np.ndarray]) -> list[Chosen]:
    places = torch.arange(run.prompt).expand(2, -1)
    return [Chosen(places, torch.tensor(mask, dtype=torch.float32, requires_grad=True)) for mask in masks]


def test_constants_are_the_numbers_outside_of_names_and_comments() -> None:
    text = "if(position < 4, keep, 0.5*window_attn:64:pool=5:avg # 7 of 9\n - 2e-3*rank:key_cos^1.5) + log2_x3 # end"
    constants = Constants.of(text)
    assert constants.values == (4, 0.5, 0.002, 1.5)
    again = constants.formula(["4", "-0.25", "0.001", "1"])
    assert again == "if(position < 4, keep, (-0.25)*window_attn:64:pool=5:avg \n - 0.001*rank:key_cos^1) + log2_x3"


def test_a_step_moves_constants_and_brings_in_terms_and_layers() -> None:
    directions = Directions(
        Lab(), "if(position < 4, keep, 0.25*observed_attn + 3*rank:key_norm)", ["wov_norm", "last_attn"]
    )
    step = {
        Direction(1, False): 0.5,
        Direction(1, True): 0.2,
        Direction("wov_norm", True): -0.01,
        Direction("last_attn", False): 2,
    }
    expected = "if(position < 4, keep, (0.75 + 0.2*(layer_ratio - 0.5))*observed_attn + 3*rank:key_norm)"
    expected += " - 0.01*(layer_ratio - 0.5)*wov_norm + 2*last_attn"
    run, lab = read("llama"), Lab()
    ours, theirs = lab.open("=" + directions.formula(position(directions, step))), lab.open("=" + expected)
    for layer in range(4):
        run.prepare(ours)
        first, second = (one.score(run.layer_input(layer, one)) for one in (ours, theirs))
        assert np.allclose(first, second)


def test_a_step_leads_no_constant_far_from_where_its_slope_was_taken() -> None:
    directions = Directions(Lab(), "observed_attn + exp(-relative_pos/200)", ["key_norm"])
    step = directions.origin
    step[directions.all.index(Direction(0, False))] = -1000
    step[directions.all.index(Direction("key_norm", False))] = 1000
    end = directions.moved(directions.origin, step)
    assert "relative_pos/100)" in directions.formula(end) and "1000)*(key_norm)" in directions.formula(end)
    assert "relative_pos/50)" in directions.formula(directions.moved(end, step))
    step = directions.origin
    step[directions.all.index(Direction(0, True))] = 1e6
    assert "relative_pos/(100+200*layer_ratio)" in directions.formula(directions.moved(directions.origin, step))


def test_slopes_are_what_a_step_changes() -> None:
    formula = "if(position < 4, keep, 0.25*observed_attn^1.5 - 3*rank:key_norm)"
    run, lab = read("llama"), Lab()
    directions = Directions(lab, formula, ["last_attn"])
    away = 0.1 * np.arange(len(directions.all)) / len(directions.all)
    point = directions.at(away)
    point.prepare(run)
    for at, one in enumerate(directions.all):
        length = 0.01
        moved = lab.open("=" + directions.formula(away + position(directions, {one: length}), None))
        for layer in (0, 3):
            own = point.scorer.score(run.layer_input(layer, point.scorer))
            plain = point.slopes(run, layer, own)
            slopes = np.concatenate((plain, layer_factor(run, layer) * plain))[at]
            with np.errstate(invalid="ignore"):
                changed = (moved.score(run.layer_input(layer, moved)) - own) / length
            assert np.allclose(slopes[np.isfinite(changed)], changed[np.isfinite(changed)], atol=5e-3)


@pytest.mark.parametrize("model", STANDARD)
def test_divergences_are_the_judges(model: str) -> None:
    run = read(model)
    draw = np.random.default_rng(3)
    masks = [[draw.random((2, run.prompt)) < share for _ in range(4)] for share in (0.5, 0.8)]
    found = divergences(run, [all_tokens(run, of_budget) for of_budget in masks])
    assert found.tolist() == pytest.approx([figures.kl for figures in run.measure(masks)], rel=1e-3)


def test_a_derivative_is_what_the_token_alone_changes_of_the_output() -> None:
    draw = torch.Generator().manual_seed(4)
    prompt, dim = 12, 5
    keys, cached = 0.5 * torch.randn(2, 2, prompt, dim, generator=draw)
    layer = PromptLayer(keys, cached, 0.7, 0)
    q = torch.randn(4, 1, dim, generator=draw)
    own = torch.randn(2, 2, 1, dim, generator=draw)
    kept = (torch.rand(2, prompt, generator=draw) < 0.5).float()
    places = torch.arange(prompt).expand(2, -1)

    def output(kept: torch.Tensor) -> torch.Tensor:
        return attend(Chosen(places, kept), layer, prompt, q, *own)

    slopes = torch.autograd.functional.jacobian(output, kept)  # type: ignore[no-untyped-call] # [H_q][1][d][H_kv][n]
    for head in range(2):
        for token in range(prompt):
            other = kept.clone()
            other[head, token] = 1 - kept[head, token]
            foretold = slopes[..., head, token] * (other - kept)[head, token]
            assert torch.allclose(foretold, output(other) - output(kept), atol=1e-5)


def test_other_derivatives_of_the_output_are_as_of_the_plain_sum() -> None:
    draw = torch.Generator().manual_seed(5)
    keys, cached = torch.randn(2, 2, 12, 5, generator=draw)
    layer = PromptLayer(keys, cached, 0.7, 0)
    kept = (torch.rand(2, 12, generator=draw) < 0.5).float()
    places = torch.stack([torch.randperm(12, generator=draw) for _ in range(2)])
    given = [torch.randn(heads, 3, 5, generator=draw, requires_grad=True) for heads in (4, 2, 2)]
    towards = torch.randn(4, 3, 5, generator=draw)

    def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        found = []
        for head in range(4):
            own, there = head // 2, places[head // 2][kept[head // 2] > 0]
            keys = torch.cat((layer.k[own, there], k[own]))
            logits = 0.7 * q[head] @ keys.T
            later = torch.cat((torch.zeros(3, len(there)), torch.ones(3, 3).triu(1)), 1) > 0
            weights = logits.masked_fill(later, float("-inf")).softmax(-1)
            found.append(weights @ torch.cat((layer.v[own, there], v[own])))
        return torch.stack(found)

    outputs = attend(Chosen(places, kept), layer, 12, *given), plain(*given)
    assert torch.allclose(*outputs, atol=1e-5)
    ours, theirs = (torch.autograd.grad((output * towards).sum(), given) for output in outputs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_derivatives_of_the_divergence_tell_tokens_apart() -> None:
    run = read("llama")
    draw = np.random.default_rng(4)
    masks = [draw.random((2, run.prompt)) < 0.5 for _ in range(4)]
    chosen = all_tokens(run, masks)
    slopes = torch.autograd.grad(divergences(run, [chosen])[0], chosen[2].kept)[0].numpy()
    before = run.measure([masks])[0].kl
    changed = []
    for token in range(run.prompt):
        other = [mask.copy() for mask in masks]
        other[2][1, token] ^= True
        changed.append(run.measure([other])[0].kl - before)
    assert np.corrcoef(slopes[1] * np.where(masks[2][1], -1, 1), changed)[0, 1] > 0.8


def test_the_boundary_keeps_k_and_asks_nothing_of_the_scale() -> None:
    scores = np.random.default_rng(5).normal(size=(3, 60))
    scores[0, :2] = np.inf
    one = boundary(scores, 20, np.random.default_rng(1))
    other = boundary(7 * scores - 3, 20, np.random.default_rng(1))
    assert (one.kept.sum(1) == 20).all() and (one.places == other.places).all()
    assert np.allclose(one.weights, 7 * other.weights)
    assert one.weights.max() < np.inf and {0, 1} <= set(one.places[0][one.kept[0]])


def test_values_are_compared_within_a_side() -> None:
    at = standing(boundary(np.random.default_rng(5).normal(size=(2, 60)), 20, np.random.default_rng(1)))
    kept = at.sides[:, 1::2].sum(1) > 0
    assert side_deviations(at, np.where(kept, -1.0, -3.0) + 5 * at.heads) == pytest.approx(0, abs=1e-12)
    values = np.random.default_rng(6).normal(size=at.weights.shape)
    deviations = side_deviations(at, values)
    of_side = kept & (at.heads == 1)
    assert 0 < of_side.sum() < kept.sum()
    assert (deviations * at.weights)[of_side].sum() == pytest.approx(0, abs=1e-12)
    assert np.ptp((values - deviations)[of_side]) == pytest.approx(0, abs=1e-12)


def test_a_step_follows_evidence_of_all_documents_and_not_what_directions_share() -> None:
    metric = np.array([[1.0, 0.99, 0], [0.99, 1.0, 0], [0, 0, 0]])[None]
    slopes = np.array([[1.0, 0.5, 5.0]])
    pulls = [Pull(2 * slopes, metric), Pull(0 * slopes, metric), Pull(-9 * slopes, metric)]
    step = steepest(Field.of(pulls, [1.0], [1, 1, 0]), [0, 1, 2], 0)
    assert step[0] < 0 and abs(step[1]) < 0.05 * abs(step[0])  # the second only shares what the first has
    assert step[2] == 0  # changes no score
    assert step @ metric[0] @ step == pytest.approx(1)
    grown = steepest(Field(np.array([0.0, 0.1, 0.5]), np.eye(3)), [0], 1)
    assert grown[1] == 0 > grown[2]


SHAPES = (Shape("layer"), Shape("model"), Shape("layer", block=4), Shape("model", block=3))


def at_shape(shape: Shape, text: int = 0) -> DocumentRun:
    return judge_of(make_source("llama"), sliding_layers=False, threads=1, shape=shape).read(document(text))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_units_are_cut_as_the_judge_cuts(shape: Shape) -> None:
    run = at_shape(shape)
    scorer = Lab().open("=if(position < 2, keep, if(position == 5, 0 - keep, observed_attn + 0.01*rank:key_norm))")
    masks = run.keep(scorer, [0.6])[0]
    units = Units(shape, run.prompt, tuple(range(len(masks))))
    scores = [scorer.score(run.layer_input(number, scorer)) for number in units.layers]
    for together in units.sets:
        joined = units.scores([scores[number] for number in together])
        best = np.argsort(-joined[0], kind="stable")[: units.count(0.4, 1)]
        kept, _ = units.chosen(Boundary(best[None], np.ones((1, len(best)), np.bool_), np.ones((1, len(best)))))
        for number in together:
            assert (masks[number] == np.isin(np.arange(run.prompt), kept[0])).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_unit_is_worth_what_it_changes(shape: Shape) -> None:
    run = at_shape(shape)
    layers = tuple(range(4))
    units = Units(shape, run.prompt, layers)
    count = -(-run.prompt // shape.block)
    kept = np.random.default_rng(4).random((1, count)) < 0.5
    every = Boundary(np.arange(count)[None], kept, np.ones((1, count)))
    together = units.sets[-1]
    leaf = torch.tensor(np.repeat(units.chosen(every)[1], 2, 0), dtype=torch.float32)
    chosen = [Chosen(torch.arange(run.prompt).expand(2, -1), leaf.clone().requires_grad_()) for _ in layers]
    slopes = torch.autograd.grad(divergences(run, [chosen])[0], [chosen[number].kept for number in together])
    worth = units.worth(every, {n: slope.double().numpy() for n, slope in zip(together, slopes, strict=True)}, together)

    def divergence(units_kept: np.ndarray) -> float:
        tokens = np.repeat(units.chosen(Boundary(every.places, units_kept, every.weights))[1], 2, 0)
        return run.measure([[tokens if n in together else leaf.numpy() > 0 for n in layers]])[0].kl

    before, changed = divergence(kept), []
    for unit in range(count):
        other = kept.copy()
        other[0, unit] ^= True
        changed.append(divergence(other) - before)
    assert worth.shape == kept.shape
    assert np.corrcoef(worth[0] * np.where(kept[0], -1, 1), changed)[0, 1] > 0.5


def test_units_join_derivatives_as_scores() -> None:
    draw = np.random.default_rng(7)
    units = Units(Shape("model", block=5), 13, (0, 1))
    scores, slopes = draw.normal(size=(2, 2, 2, 13))
    moved = (units.scores(list(scores + 0.5 * slopes)) - units.scores(list(scores))) / 0.5
    assert np.allclose(moved, units.share(slopes[0], 4) + units.share(slopes[1], 4))


@pytest.mark.parametrize("budgets", ("head", "model"))
def test_heads_that_share_a_budget_are_cut_as_the_judge_cuts(budgets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary_module, "NOISE", 0.0)
    run = at_shape(USUAL)
    formula = "if(position < 2, keep, observed_attn + 0.01*rank:key_norm)"
    wrapper = scorer_within(budgets, formula).replace("adakv@kvpress", "adakv:alpha=0")
    masks = run.keep(Lab().open(wrapper), [0.6])[0]
    scorer = Lab().open("=" + formula)
    scores = [scorer.score(run.layer_input(number, scorer)) for number in range(len(masks))]
    units = Units(USUAL, run.prompt, tuple(range(len(masks))), budgets)
    for together in units.sets:
        joined = units.scores([scores[number] for number in together])
        at = boundary(joined, units.count(0.4, len(joined)), np.random.default_rng(1), shared=units.shared)
        assert at.kept.sum() == units.count(0.4, len(joined))
        for number, (places, kept) in units.split(at, together):
            found = np.zeros_like(masks[number])
            np.put_along_axis(found, places, kept, -1)
            assert (found == masks[number]).all()


def test_a_shared_budget_has_one_boundary() -> None:
    scores = np.random.default_rng(5).normal(size=(3, 60)) + np.array([[2.0], [0.0], [-9.0]])
    at = boundary(scores, 60, np.random.default_rng(1), shared=True)
    kept = at.kept.sum(1)
    assert kept.sum() == 60 and kept[0] > 40 and kept[2] == 0
    assert at.weights[2].max() < 1e-3 * at.weights.max()  # nothing there is near
    tokens = standing(at)
    assert tokens.sides.shape[1] == 2 and set(tokens.heads) == {0, 1}
    deviations = side_deviations(tokens, np.where(tokens.heads == 0, 1.0, 0.0))
    assert deviations[tokens.heads == 0].max() > 0 > deviations[tokens.heads == 1].min()


def test_shapes_without_gradients_are_refused_by_name() -> None:
    for shape, named in (
        (Shape("layer", "max"), "--join max"),
        (Shape("layer", block=2, block_score="max"), "--block-score max"),
        (Shape(block=2), "--block without"),
        (Shape("model", sinks=4), "--sinks"),
    ):
        with pytest.raises(UsageError, match=named):
            check_gradients(shape)
    with pytest.raises(UsageError, match="--budgets model with a shape"):
        check_gradients(Shape("layer"), "model")


def test_all_kept_and_equal_scores_have_no_boundary() -> None:
    for scores, count in ((np.ones((1, 9)), 4), (np.full((1, 9), np.inf), 4), (np.arange(9.0)[None], 9)):
        at = boundary(scores, count, np.random.default_rng(1))
        assert at.kept.sum() == count and np.isfinite(at.weights).all()


def start_of(ours: Tuner, formula: str) -> Point:
    directions = Directions(Lab(), formula, ours.settings.terms)
    return directions.at(directions.origin)


def tuner(
    train: list[int], valid: list[int], terms: tuple[str, ...] = (), shape: Shape = USUAL, budgets: str = UNIFORM
) -> Tuner:
    judge = judge_of(make_source("llama"), sliding_layers=False, threads=2, shape=shape)
    settings = Settings((0.25, 0.5), (1.0, 1.0), terms, 3)
    documents = {document(i).name: document(i) for i in (*train, *valid)}
    to_tune_by, to_validate = ([document(i).name for i in chosen] for chosen in (train, valid))
    return Tuner(Here(judge, Lab(), documents, budgets), to_tune_by, to_validate, settings)


@pytest.mark.parametrize(
    ("shape", "budgets", "by"),
    [
        (USUAL, UNIFORM, 0.2),
        (USUAL, "head", 0.2),
        (USUAL, "model", 0.2),
        (Shape("layer"), UNIFORM, 0.2),
        (Shape("layer", block=2), UNIFORM, 0.1),
    ],
    ids=str,
)
def test_rounds_make_a_bad_start_better_on_a_document_that_was_not_tuned_by(
    shape: Shape, budgets: str, by: float
) -> None:
    ours, before = tuner([0, 1], [2], shape=shape, budgets=budgets), 0.0
    point = start_of(ours, BAD_START)
    for number in range(3):
        found = ours.round(point, number)
        before = before or found.before.mean()
        point = found.point if found.better else point
    assert found.after.mean() < before - by


def test_a_missing_term_comes_in() -> None:
    ours = tuner([0, 1], [2], ("observed_attn", "token_type"))
    found = ours.round(start_of(ours, "0.001*position"), 1)
    assert "observed_attn" in found.point.formula and found.better
    assert found.after.mean() < found.before.mean() - 0.1


def test_a_term_that_moves_all_tokens_alike_stays_out() -> None:
    ours = tuner([0, 1], [2], ("1", "observed_attn"), budgets="model")
    found = ours.round(start_of(ours, BAD_START), 1)
    assert found.point.position[found.point.directions.all.index(Direction("1", False))] == 0.0
    assert found.point.position.any()


def test_the_same_seed_gives_the_same_formula() -> None:
    first, again = (ours.round(start_of(ours, BAD_START), 1) for ours in (tuner([0], [1]), tuner([0], [1])))
    assert first.point.formula == again.point.formula != BAD_START
    assert (first.after == again.after).all()


def test_what_is_no_better_on_valid_documents_is_said_to_be_so() -> None:
    ours = tuner([0], [1])
    found = ours.round(start_of(ours, "1*position"), 1)  # no scale can change what it keeps
    assert not found.better or (found.after.mean() < found.before.mean())


class Hill:
    """A place without a model: every document has its lowest divergence where the term's coefficient is `best`."""

    def __init__(self, best: float) -> None:
        self.best = best
        self.read: list[tuple[str, tuple[int, ...]]] = []
        self.counts: list[int] = []

    def pulls(self, point: Point, _: Sequence[float], asked: Sequence[tuple[str, tuple[int, ...]]]) -> Iterator[Pull]:
        self.read += asked
        self.counts.append(len(asked))
        along = np.array([[-1.0, 0.0]])
        yield from (Pull(along, np.array([[[1.0, 0.0], [0.0, 0.0]]])) for _ in asked)

    def divergences(self, asked: Sequence[tuple[str, Sequence[str]]], _: Sequence[float]) -> Iterator[list[np.ndarray]]:
        for _name, formulas in asked:
            yield [np.array([np.exp(abs(self._coefficient(formula) - self.best))]) for formula in formulas]

    def _coefficient(self, formula: str) -> float:
        return float(formula.rpartition(" + (")[2].partition(")*(")[0]) if ")*(" in formula else 0.0


def tuner_on(hill: Hill, documents: int, **settings: Any) -> tuple[Tuner, Point]:
    train, terms = [f"d{i}" for i in range(documents)], ("observed_attn",)
    ours = Tuner(hill, train, ["valid"], Settings((0.5,), (1.0,), terms, 1, **settings))
    directions = Directions(Lab(), "position", terms)
    return ours, directions.at(directions.origin)


@pytest.mark.parametrize(("best", "length"), [(0.25, 0.2), (0.75, 0.8), (3.0, 3.2), (40.0, 12.8)])
def test_a_step_is_made_longer_while_the_longest_is_the_best(best: float, length: float) -> None:
    ours, start = tuner_on(Hill(best), 2)
    assert ours.round(start, 1).point.position.tolist() == [pytest.approx(length), 0.0]


def test_rounds_of_a_few_documents_go_on_with_the_next_ones_and_keep_what_was_read() -> None:
    hill = Hill(1.0)
    ours, point = tuner_on(hill, 3, read=2)
    for number in (1, 2, 3):
        point = ours.round(point, number).point
    assert [name for name, _ in hill.read] == ["d0", "d1", "d2", "d0", "d1", "d2"]
    assert len({seed for _, seed in hill.read}) == 6  # the same document says another thing with other noise
    whole, start = tuner_on(hill, 3)
    whole.round(start, 1)
    assert hill.counts == [2, 2, 2, 3]


def test_what_was_read_before_a_step_counts_by_half() -> None:
    known = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    readings = Readings()
    readings.add([Pull(np.array([[3.0, 0.0]]), known)])
    readings.fade()
    readings.add([Pull(np.array([[0.0, 3.0]]), known)])
    assert readings.field((1.0,)).slopes.tolist() == pytest.approx([1.0, 2.0])


def test_the_command_tunes_on_train_and_judges_on_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [
        Document(f"text {i}", kind, split, text, "test", "MIT")
        for i, (text, kind, split) in enumerate(zip(TEXTS, KINDS, ["train", "valid", "test"], strict=True))
    ]
    suite, out = tmp_path / "tiny", tmp_path / "tuned.formula"
    capture_suite(
        make_source("llama"), texts, CaptureSettings(PROMPT, 24, dtype="f32"), suite, name="tiny", licence="MIT"
    )
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
    (tmp_path / "start.formula").write_text(BAD_START + "  # bad\n")
    (tmp_path / "terms").write_text("window_attn:8\n\nrank:key_norm\n")
    given = ["model", str(suite), "--formula", str(tmp_path / "start.formula"), "--terms", str(tmp_path / "terms")]
    command([*given, "--rounds", "2", "--grow", "2", "-o", str(out)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "round 1: better" and len(printed[2:6]) == 4
    assert out.read_text().strip() in [line.strip() for line in printed]
    none = np.zeros((0, 4))
    monkeypatch.setattr(Tuner, "round", lambda _, point, __: Round(point, none, none, False))
    command([*given, "-o", str(tmp_path / "same.formula")])
    assert "the formula that was given" in capsys.readouterr().out
    assert (tmp_path / "same.formula").read_text().strip() == BAD_START
    for wrong, message in (
        (["--rounds", "0"], "rounds is at least 1"),
        (["--read", "0"], "read is at least 1"),
        (["--weights", "1,2"], "--weights 1,2: not 4 numbers"),
        (["--grow", "-1"], "grow is at least 0"),
        (["--budgets", "model", "--granularity", "layer"], "--budgets model with a shape"),
    ):
        with pytest.raises(UsageError, match=message):
            command([*given, *wrong])
    (tmp_path / "terms").write_text("window_atn:8\n")
    monkeypatch.setattr(command_module, "open_model", lambda *_: pytest.fail("the model is opened first"))
    for mode in (given[2:4], ["--propose"]):
        with pytest.raises(ToolError, match="term window_atn:8"):
            command([*given[:2], *mode, *given[4:]])


def test_the_proposer_goes_on_from_what_it_has_read() -> None:
    judge = judge_of(make_source("llama"), sliding_layers=False, threads=1)
    settings = Settings((0.25, 0.5), (1.0, 1.0), ("observed_attn", "token_type"), 3)
    proposer = GradientProposer(judge, Lab(), [document(0), document(1)], settings, 0)

    def asked(id: str, formula: str, hypothesis: str = "", nodes: int = 40) -> list[dict[str, str]]:
        champion = {"id": id, "formula": formula, "hypothesis": hypothesis}
        columns = [{"name": name} for name in ("observed_attn", "layer_ratio")]
        return proposer.propose({"champions": [champion], "wanted": 2, "max_nodes": nodes, "columns": columns})

    first, second = asked("g0-s0", BAD_START), asked("g0-s0", BAD_START)
    assert [each["hypothesis"] for each in first] == [
        "the model's own gradient at g0-s0 over 1 readings, step 0.1",
        "the model's own gradient at g0-s0 over 1 readings, step 0.2",
    ]
    assert "over 2 readings" in second[0]["hypothesis"] and second[0]["formula"] != first[0]["formula"]
    in_other_words = f"0 + 1*({second[1]['formula']})"  # evolve writes formulas in its own way
    own = asked("g2-s8", in_other_words, second[1]["hypothesis"])
    assert "at g2-s8 over 3 readings" in own[0]["hypothesis"] and len(own) == 2
    assert own[0]["formula"].startswith("((") and "1*(" not in own[0]["formula"]
    overtaken = asked("g3-s4", "0.3*observed_attn", "by another")
    assert "at g2-s8 over 4 readings" in overtaken[0]["hypothesis"] and "window_attn" in overtaken[0]["formula"]
    other = asked("g3-s4", "0.3*observed_attn", "by another")
    assert "at g3-s4 over 1 readings" in other[0]["hypothesis"] and "window_attn" not in other[0]["formula"]
    assert not any("token_type" in each["formula"] for each in (*first, *second, *own, *other))  # not offered
    asked("g4-s1", BAD_START)
    small = asked("g4-s1", BAD_START, nodes=7)
    assert "observed_attn" in first[0]["formula"] and "layer_ratio" not in small[0]["formula"]
    with pytest.raises(ToolError, match="champions"):
        proposer.propose({"wanted": 1, "max_nodes": 9})
    champion = {"id": "g0-s0", "formula": BAD_START, "hypothesis": ""}
    with pytest.raises(ToolError, match="above 0"):
        proposer.propose({"champions": [champion], "wanted": 0, "max_nodes": 9, "columns": []})
    for each in (*first, *second, *own, *other, *small):
        Lab().open("=" + each["formula"])
