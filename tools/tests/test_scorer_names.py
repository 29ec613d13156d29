"""Scorers by the names that people type: what they mean, which rows they give, what is published."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import pytest
from verdict_harness import read, verdict_of

from evictlab_tools.errors import UsageError
from evictlab_tools.library import Lab
from evictlab_tools.verdict.opening import open_scorers


def test_what_is_published_is_said_by_plugins() -> None:
    lab = Lab()
    assert lab.open("snapkv@kvpress").published and lab.open("adakv@kvpress(snapkv@kvpress)").published
    for name in ("h2o@seed", "snapkv@seed", "snapkv@kvpress:window=8", "evolved@real", "=key_norm", "random"):
        assert not lab.open(name).published, name
    assert (
        lab.open("snapkv").published
        and lab.open("adakv(h2o)").plugin == "adakv"
        and lab.open("=key_norm").plugin is None
    )


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


def test_a_bare_name_is_the_published_rule_in_benches_verdicts_and_reports(suite: Path) -> None:
    bare, full = (
        "snapkv:window=8,h2o,adakv(knorm)",
        ["snapkv@kvpress:window=8", "h2o@paper", "adakv@kvpress(knorm@kvpress)"],
    )
    library = Lab().library
    bench = json.loads(library.run_program("bench", f"--suite={suite / 'tiny'}", f"--scorers={bare}", "--format=json"))
    verdict = verdict_of(suite, "--scorers", bare)
    benched, judged = ([row["scorer"] for row in result["rows"]] for result in (bench, verdict))
    assert set(full) <= set(benched) and set(full) <= set(judged) and not set(bare.split(",")) & {*benched, *judged}
    told = library.run_program("report", f"--verdict={suite / 'verdict.json'}")
    assert all(f"`{name}`" in told for name in full)


def test_a_bare_name_keeps_what_its_published_rule_keeps() -> None:
    kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    lab, run = Lab(), read("llama")
    bare, full, seed = (lab.open(name) for name in ("tova", "tova@kvpress", "tova@seed"))
    assert (bare.text, bare.name, bare.hash) == ("tova@kvpress", "tova@kvpress", full.hash)
    (kept,), (expected,), (simplified,) = (run.keep(scorer, [0.5]) for scorer in (bare, full, seed))
    assert all((one == other).all() for one, other in zip(kept, expected, strict=True))
    assert not all((one == other).all() for one, other in zip(kept, simplified, strict=True))
    assert EvictlabPress(0.5, "tova").scorer == "tova@kvpress"
    assert kvpress


def test_a_formula_files_row_has_its_stem_and_two_of_one_name_are_refused(suite: Path) -> None:
    for folder, formula in (("a", "-key_norm"), ("b", "key_norm")):
        (suite / folder).mkdir()
        (suite / folder / "mine.formula").write_text(formula)
    mine = suite / "a" / "mine.formula"
    verdict = verdict_of(suite, "--scorers", str(mine), "--correlate")
    assert "mine" in [row["scorer"] for row in verdict["rows"]]
    with pytest.raises(UsageError, match="would both be the row 'mine'"):
        open_scorers(Lab(), [f"{mine},{suite / 'b' / 'mine.formula'}"])


def test_a_reports_command_of_a_formula_file_runs_as_it_is(suite: Path) -> None:
    (suite / "mine.formula").write_text("-key_norm")
    library, bench = Lab().library, suite / "bench.json"
    of = ["bench", f"--suite={suite / 'tiny'}", "--format=json"]
    library.run_program(*of, f"--scorers={suite / 'mine.formula'}", f"--output={bench}")
    (row,) = [line for line in library.run_program("report", f"--bench={bench}").splitlines() if "--scorers '" in line]
    assert row.startswith("| `mine` |") and "--scorers '=-key_norm'" in row
