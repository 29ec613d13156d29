"""Files of results that are shipped: one name of a suite means one hash, but for what a page tells apart."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evictlab_tools.library import Lab
from evictlab_tools.verdict.statistics import ratio

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/results"
NAMED = re.compile(r"\bsuite `?([\w-]+)`?,? `?sha256:([0-9a-f]{64})", re.IGNORECASE)  # in tables and in what judges say
RECORD = re.compile(r'"name":\s*"([\w-]+)",\s*"hash":\s*"sha256:([0-9a-f]{64})"')  # in verdicts, benches and runs

# Captured on two machines; no third capture would be either of them.
TWO_CAPTURES = {
    "smollm2-full": {
        "63e5c382b971d80fbbc0ea9854985f891b70c4c25a03817f48892c5ef231f2b8",
        "ea3278b6234f6ced450fd320292ac39651e4416507757573ca71ab4a1e12482f",
    }
}


# Valid documents by which rounds of the plain start in docs/tuning.md were kept or not.
DECIDING = {
    "developers_reference",
    "mansfield_park",
    "python_fractions",
    "licence_MPL-2.0",
    "debian_history",
    "list_timetable_29",
    "jargon_lexicon",
    "fortunes_science",
}


def suites_in(text: str) -> Iterator[tuple[str, str]]:
    """Names and hashes."""
    for pattern in (NAMED, RECORD):
        yield from pattern.findall(text)


def test_a_suites_name_means_one_hash() -> None:
    files: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # by name and hash
    for file in (file for file in RESULTS.rglob("*") if file.is_file()):
        for name, digest in suites_in(file.read_text("utf-8")):
            files[name][digest].add(file.name)
    assert files["smollm2-full"].keys() == TWO_CAPTURES["smollm2-full"], "files of both are shipped"
    several = {name: set(hashes) for name, hashes in files.items() if len(hashes) > 1}
    assert several == TWO_CAPTURES, {name: dict(files[name]) for name in several}


def test_the_page_tells_two_captures_apart() -> None:
    page = (RESULTS / "evolved-real.md").read_text("utf-8").split("### Which smollm2-full\n")[1].split("\n#")[0]
    rows = [row for row in page.splitlines() if row.startswith("| `smollm2-full`")]
    for digest in TWO_CAPTURES["smollm2-full"]:
        (row,) = (row for row in rows if f"`{digest[:16]}...`" in row)
        named = [RESULTS / name for name in re.findall(r"`([\w./-]+\.json)`", row)]
        assert named
        for file in named:
            assert {found for name, found in suites_in(file.read_text("utf-8")) if name == "smollm2-full"} == {digest}


def test_names_and_hashes_are_found() -> None:
    digest = "0123456789abcdef" * 4
    for text in (
        f"Suite `micro`, `sha256:{digest}`, parameters",
        f"sha256 00), suite micro sha256:{digest}",
        json.dumps({"suite": {"name": "micro", "hash": f"sha256:{digest}"}}),
        json.dumps({"suite": {"name": "micro", "hash": f"sha256:{digest}"}}, separators=(",", ":")),
    ):
        assert list(suites_in(text)) == [("micro", digest)]


def ratios(verdict: Path, scorer: str) -> list[str]:
    """To the best published row of the scorer's class at each retention, as `evictlab report` has them."""
    written = verdict.with_suffix(".report.json")
    Lab().library.run_program("report", f"--verdict={verdict}", f"--output={written}")
    (table,) = json.loads(written.read_text("utf-8"))["suites"][0]["verdicts"]
    (row,) = (row for row in table["rows"] if row["scorer"] == scorer)
    found = [row["figures"][f"{retention:.2f}"] for retention in table["retentions"]]
    return [cell(figure["class_ratio"], *figure["class_ratio_interval"]) for figure in found]


def cell(ratio: float, low: float, high: float) -> str:
    """Bold where it is a win."""
    text = f"{ratio:.2f} [{low:.2f}, {high:.2f}]"
    return f"**{text}**" if high < 1 else text


def test_intervals_of_shipped_verdicts_are_the_programs(tmp_path: Path) -> None:
    page = (RESULTS / "evolved-real.md").read_text("utf-8")
    files = {"test": "smollm2", "fresh": "fresh", "fresh 4k": "fresh-4k", "qwen": "qwen", "bigger qwen": "qwen-1.5b"}
    files |= {f"{name}, all": f"{files[name]}, all" for name in ("test", "fresh", "fresh 4k")}
    verdicts = {name: shipped(file, "")[0] for name, file in files.items()}
    of_qwen = [document.get("left_out") for document in verdicts["qwen"]["documents"]]
    qwen = f"the first {len(of_qwen)}, without the list that it cannot do ({of_qwen.count(None)})"
    for name, verdict in verdicts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(verdict))
    for label, name, scorer in (
        ("SmolLM2-135M, test, without the lists that it cannot do (13)", "test", "evolved@real"),
        ("SmolLM2-135M, test, all (16)", "test, all", "evolved@real"),
        ("SmolLM2-135M, fresh, without the lists that it cannot do (26)", "fresh", "evolved@real"),
        ("SmolLM2-135M, fresh, all (32)", "fresh, all", "evolved@real"),
        ("SmolLM2-135M, fresh, 4,096 tokens, without the list that it cannot do (15)", "fresh 4k", "evolved@real"),
        ("SmolLM2-135M, fresh, 4,096 tokens, all (16)", "fresh 4k, all", "evolved@real"),
        (f"Qwen2.5-Coder-0.5B, test, {qwen}, never seen", "qwen", "evolved@real"),
        ("Qwen2.5-Coder-1.5B, 6 fresh documents, never seen", "bigger qwen", "evolved@real"),
        (
            "fresh: `adakv@kvpress(evolved@real)` | `defensivekv@paper`, budgets of heads",
            "fresh",
            "adakv@kvpress(evolved@real)",
        ),
        (
            "fresh: `global@kvpress(evolved@real)` | `layer_defensivekv@paper`, budgets of the model",
            "fresh",
            "global@kvpress(evolved@real)",
        ),
        (
            "`adakv@kvpress(evolved@real)` | `defensivekv@paper`, budgets of heads",
            "test",
            "adakv@kvpress(evolved@real)",
        ),
        (
            "`global@kvpress(evolved@real)` | `layer_defensivekv@paper`, budgets of the model",
            "test",
            "global@kvpress(evolved@real)",
        ),
    ):
        assert f"| {label} | {' | '.join(ratios(tmp_path / f'{name}.json', scorer))} |" in page


PLACES = [
    ("smollm2", "SmolLM2-135M, test, without the lists that it cannot do ({counted})"),
    ("smollm2, all", "SmolLM2-135M, test, all ({of})"),
    ("fresh", "SmolLM2-135M, fresh, without the lists that it cannot do ({counted})"),
    ("fresh, all", "SmolLM2-135M, fresh, all ({of})"),
    ("fresh-4k", "SmolLM2-135M, fresh, 4,096 tokens, without the list that it cannot do ({counted})"),
    ("fresh-4k, all", "SmolLM2-135M, fresh, 4,096 tokens, all ({of})"),
    ("qwen", "Qwen2.5-Coder-0.5B, test, the first {of}, without the list that it cannot do ({counted})"),
    ("gemma", "Gemma-3-270m, test, without the lists that it cannot do ({counted})"),
    ("qwen-1.5b", "Qwen2.5-Coder-1.5B, {of} fresh documents, a model never seen"),
]
of_each_place = pytest.mark.parametrize(("name", "label"), PLACES)


def shipped(name: str, label: str) -> tuple[dict[str, Any], str]:
    """A verdict, with no document left out where the name ends in "all", and what pages call its documents."""
    verdict = json.loads((RESULTS / f"verdict-{name.removesuffix(', all')}.json").read_text("utf-8"))
    if name.endswith(", all"):
        for document in verdict["documents"]:
            document.pop("left_out", None)
    counted = [document.get("left_out") for document in verdict["documents"]].count(None)
    return verdict, label.format(counted=counted, of=len(verdict["documents"]))


@of_each_place
def test_the_page_of_budgets_is_of_its_verdicts(name: str, label: str, tmp_path: Path) -> None:
    page = (RESULTS / "evolved-budgets.md").read_text("utf-8")
    verdict, said = shipped(name, label)
    (file := tmp_path / "verdict.json").write_text(json.dumps(verdict))
    for scorer in ("evolved@budgets", "evolved@window"):
        assert f"| `{scorer}` | {said} | {' | '.join(ratios(file, scorer))} |" in page


@of_each_place
def test_the_page_of_keys_is_of_what_its_verdicts_have_without_queries(name: str, label: str, tmp_path: Path) -> None:
    page = (RESULTS / "evolved-keys.md").read_text("utf-8")
    verdict, said = shipped(name, label)
    verdict["rows"] = [row for row in verdict["rows"] if row.get("class", {}).get("reads") == "kv"]
    assert len(verdict["rows"]) > 3
    (file := tmp_path / "verdict.json").write_text(json.dumps(verdict))
    assert f"| {said} | {' | '.join(ratios(file, 'evolved@keys'))} |" in page


# Where evolved@small was not measured.
NOT_OF_SMALL = {"qwen", "gemma", "fresh-4k", "fresh-4k, all", "qwen-1.5b"}


@pytest.mark.parametrize(("name", "label"), [place for place in PLACES if place[0] not in NOT_OF_SMALL])
@pytest.mark.parametrize("fused", [False, True])
def test_the_page_of_the_small_champion_is_of_its_verdicts(name: str, label: str, fused: bool, tmp_path: Path) -> None:
    page = (RESULTS / "evolved-small.md").read_text("utf-8")
    verdict, said = shipped(name, label)
    if fused:
        verdict["rows"] = [row for row in verdict["rows"] if row.get("class", {}).get("fused_attention")]
    (file := tmp_path / "verdict.json").write_text(json.dumps(verdict))
    against = "fused attention alone" if fused else "all"
    assert f"| {said} | {against} | {' | '.join(ratios(file, 'evolved@small'))} |" in page


def test_the_page_of_the_plain_start_is_of_its_verdict() -> None:
    lab, page = Lab(), (ROOT / "docs/tuning.md").read_text("utf-8")
    verdict = json.loads((RESULTS / "from-plain/verdict-valid.json").read_text("utf-8"))
    logs = {row["scorer"]: np.log(np.array(row["kl"])) for row in verdict["rows"]}
    published = [name for name in logs if "@kvpress" in name]
    deciding = [document["name"] in DECIDING for document in verdict["documents"]]
    assert len(deciding) == 16 and sum(deciding) == 8 and len(published) == 6
    every, those, others = np.ones(16, bool), np.array(deciding), ~np.array(deciding)
    for scorer, said, chosen in (
        ("start", "the start | all 16", every),
        ("plain", "what was found | all 16", every),
        ("plain", "what was found | the 8 that decided", those),
        ("plain", "what was found | the other 8", others),
        ("evolved@real", "`evolved@real` | all 16", every),
    ):
        cells = []
        for at in range(len(verdict["retentions"])):
            best = min(published, key=lambda name: logs[name][chosen, at].mean())
            cells.append(ratio(lab.library, (logs[scorer] - logs[best])[chosen, at]).text(".2f"))
        assert f"| {said} | {' | '.join(cells)} |" in page
    lab.open("=" + (RESULTS / "from-plain/plain.formula").read_text("utf-8").strip())


@pytest.mark.parametrize(
    ("name", "label"),
    [("fresh", "without the lists that the model cannot do ({counted})"), ("fresh, all", "all ({of})")],
)
def test_the_plain_start_on_fresh_documents_is_of_its_verdict(name: str, label: str, tmp_path: Path) -> None:
    verdict, said = shipped(name, label)
    found = json.loads((RESULTS / "from-plain/verdict-fresh.json").read_text("utf-8"))
    assert [one["name"] for one in found["documents"]] == [one["name"] for one in verdict["documents"]]
    (row,) = (row for row in found["rows"] if row["scorer"] == "plain")
    verdict["rows"].append(row)
    (file := tmp_path / "verdict.json").write_text(json.dumps(verdict))
    cells = " | ".join(ratios(file, "plain"))
    assert f"| what was found | fresh, {said} | {cells} |" in (ROOT / "docs/tuning.md").read_text("utf-8")


def test_the_page_of_decoding_is_of_its_verdict(tmp_path: Path) -> None:
    file = RESULTS / "verdict-decode-smollm2.json"
    (copy := tmp_path / "decode.json").write_text(file.read_text("utf-8"))
    documents = json.loads(file.read_text("utf-8"))["documents"]
    counted = [document.get("left_out") for document in documents].count(None)
    first, second = ratios(copy, "evolved@real")
    page, champion = ((RESULTS / name).read_text("utf-8") for name in ("decode.md", "evolved-real.md"))
    (row,) = (line for line in page.splitlines() if line.startswith("| `evolved@real`"))
    assert f"| {first} |" in row and f"| {second} |" in row
    assert f"over {counted} test documents" in page and f"the first {len(documents)} of" in page
    assert f"cut after every token: {first} and {second}" in champion
