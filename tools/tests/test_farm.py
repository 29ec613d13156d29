"""The farm: many judges behind one, with the answers of one; who is taken, and who is asked."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import farm_judge
import pytest
from farm_harness import (
    NAMES,
    START,
    Done,
    by_id,
    expected,
    judge,
    noted,
    request,
    requests_of_a_search,
    running,
    workers,
)

from evictlab_tools.farm.introduction import Document, kind_name
from evictlab_tools.farm.placement import HEAT, Placement, homes, kind_of


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_workers_in_any_order_gives_the_bits_of_one(count: int) -> None:
    asked = requests_of_a_search(120)
    done = Done(["--local", str(count), judge(parallel=3, most=4)], asked)
    assert done.code == 0
    assert by_id(done.answers) == by_id([expected(one) for one in asked])
    assert done.greeting["parallel"] == 4 * count  # one waits at each
    documents = [{"name": name, "kind": "prose", "split": split} for name, split in farm_judge.DOCUMENTS]
    assert (done.greeting["judge"], done.greeting["documents"]) == ("a fake judge", documents)


def test_documents_stay_with_their_workers(tmp_path: Path) -> None:
    logs = [tmp_path / f"log {i}" for i in range(4)]
    with running(*workers(*(judge(log=log) for log in logs))) as farm:
        farm.tells(4, "is there")
        farm.send(*(request(i, f"={i}", NAMES) for i in range(20)))
        assert all("kl" in farm.read() for _ in range(20))
    asked = [noted(log, "asked")[1:] for log in logs]  # without the probe
    for place, name in enumerate(NAMES[:4]):  # a heat of four has each worker busy
        assert [of.count(name) for of in asked] == [20 * (place == i) for i in range(4)]
    assert [len(set(of)) for of in asked] == [3, 3, 3, 1]  # 7 documents of train, 3 of valid


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13, 16])
def test_the_documents_of_a_heat_keep_all_workers_busy_and_a_lost_one_moves_its_own_alone(count: int) -> None:
    names = [f"document {i}" for i in range(24)]
    placement = Placement([Document(name, "train") for name in names], count)
    everybody = set(range(count))
    at = {name: placement.homes_of(name, everybody) for name in names}
    assert {len(of) for of in at.values()} == {homes(count)} and homes(count) <= max(2, count / HEAT + 1)
    for first in range(0, len(names), HEAT):
        assert {place for name in names[first : first + HEAT] for place in at[name]} == everybody
    for lost in everybody:
        for name in names:
            after = placement.homes_of(name, everybody - {lost})
            assert lost not in after and len(after) == min(count - 1, homes(count - 1) if count > 1 else 0)
            kept = [place for place in at[name] if place != lost]
            assert after[: len(kept)] == kept[: len(after)]
    assert placement.homes_of(names[0], set()) == []


def test_errors_of_workers_are_answers_and_the_first_document_in_order_has_the_word() -> None:
    asked = [request(i, "an error", NAMES) for i in range(20)]
    done = Done(["--local", "3", judge(parallel=2, most=4)], [*asked, request("good")])
    errors = [{"id": one["id"], "error": f"no figures on {NAMES[2]}"} for one in asked]
    assert by_id(done.answers) == by_id([*errors, expected(request("good"))])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"judge": "another judge"}, "introduces itself as 'another judge', unlike worker 1 (exec "),
        ({"greets": "with fewer documents"}, "has other documents, or in another order, unlike worker 1 (exec "),
        ({"rounds": "otherwise"}, "answers the probe question with "),
    ],
)
def test_a_worker_that_is_another_judge_is_refused_by_name(options: dict[str, str], why: str) -> None:
    asked = requests_of_a_search(30)
    with running(*workers(judge(), judge(**options))) as farm:
        farm.send(*asked)
        answers = [farm.read() for _ in asked]
        assert by_id(answers) == by_id([expected(one) for one in asked])
        told = farm.tells(1, "is refused")
        assert told.startswith("evictlab-farm: worker 2 (exec ")
        assert f"is refused: it {why}" in told


def test_the_digits_that_differ_are_told() -> None:
    with running(*workers(judge(), judge(rounds="otherwise"))) as farm:
        farm.send(request(1))
        farm.read()
        line = farm.tells(1, "is refused")
    one = farm_judge.figure("=observed_attn + 0.001*value_norm", NAMES[0], 0.1)
    assert f"{farm_judge.rounded_otherwise(one):.17g} where worker 1 (" in line
    assert f"says {one:.17g}: another kind of processor" in line


def probed(rounded: bool) -> list[float]:
    figures = [farm_judge.figure("=p", NAMES[0], r) for r in (0.1, 0.25, 0.5, 0.75)]
    return [farm_judge.rounded_otherwise(value) for value in figures] if rounded else figures


@pytest.mark.parametrize("order", ["ab", "ba", "aab", "bbaab"])
def test_mixed_kinds_each_judge_the_same_documents_whoever_is_there(order: str) -> None:
    kinds = {"a": judge(), "b": judge(rounds="otherwise")}
    asked = [request(i, f"={i}", NAMES) for i in range(5)]
    done = Done(["--mixed", "--probe", "=p", *workers(*(kinds[kind] for kind in order))], asked)
    names = {kind_name(probed(rounded)): rounded for rounded in (False, True)}
    assert done.greeting["judge"] == f"a fake judge, judged by kinds of workers {' and '.join(sorted(names))}"
    others = [name for name in NAMES if names[kind_of(name, names)]]
    assert 0 < len(others) < len(NAMES)
    for answer, one in zip(by_id(done.answers), asked, strict=True):
        figures = [
            [farm_judge.rounded_otherwise(value) for value in row] if name in others else row
            for name, row in zip(NAMES, expected(one)["kl"], strict=True)
        ]
        assert answer == {"id": one["id"], "kl": figures}


def test_a_probe_that_the_judge_cannot_answer_names_the_option() -> None:
    done = Done(["--probe", "negative", "--restarts", "0", *workers(judge())], [])
    assert done.code == 1 and "answers -0.5, which no KL divergence is" in done.told
    done = Done(["--probe", "no such scorer", *workers("echo '" + json.dumps({
        "protocol": "evictlab-judge/1", "judge": "one", "documents": [{"name": "a", "split": "train"}]
    }) + "'; read x; echo '{\"id\": 0, \"error\": \"who?\"}'; sleep 600"), "--restarts", "0"], [])  # fmt: skip
    assert done.code == 1 and "cannot answer the probe 'no such scorer' (who?); --probe names another" in done.told


def test_the_first_in_order_that_can_be_started_is_what_others_are_like() -> None:
    asked = [request(i, f"={i}") for i in range(5)]
    done = Done(workers("sleep 0.5; exit 7", judge(rounds="otherwise")), asked)
    assert done.code == 0
    for answer, one in zip(by_id(done.answers), asked, strict=True):
        assert answer["kl"] == [list(map(farm_judge.rounded_otherwise, expected(one)["kl"][0]))]


def test_a_worker_that_introduces_itself_too_late_is_told() -> None:
    done = Done(["--start-timeout", "0.5", *workers(judge(greets="never"))], [])
    assert done.code == 1 and "did not introduce itself within 0.5 s" in done.told.splitlines()[-1]


def test_huge_requests_and_those_that_are_too_large() -> None:
    large = [request(i, "=" + str(i) * 700_000, NAMES[:3]) for i in range(6)]
    done = Done(["--local", "2", judge(parallel=2)], [*large, b"x" * (17 << 20) + b"\n", request(7)])
    null, *answers = by_id(done.answers)[::-1]
    assert null == {"id": None, "error": "a request of more than 16777216 bytes"}
    assert by_id(answers) == [expected(one) for one in [*large, request(7)]]


WRONG = [
    (b"{nonsense\n", "not a line of JSON"),
    (b'"\xff"\n', "not a line of JSON"),
    (b"[1, 2]\n", "a request is a JSON object"),
    (request(None), 'has no "id"'),
    (request(1, scorer=""), '"scorer" is not a text'),
    (request(1, documents=[]), '"documents" is not a list'),
    (request(1, documents=["made/test/text 1"]), 'no document "made/test/text 1" is served'),
    (request(1, retentions=[0.5, 0]), '"retentions" has 0;'),
    (request(1, retentions=[float("nan")]), '"retentions" has NaN;'),
    (request(float("nan")), 'the "id" is no JSON, or longer than 1000 characters'),
    (request("a" * 1000), 'the "id" is no JSON, or longer than 1000 characters'),
    (request(1, more=float("inf")), "not a line of JSON: Out of range"),
    (b"[" * 100_000 + b"\n", "not a line of JSON"),
]


def test_wrong_requests_are_errors_and_the_next_is_answered() -> None:
    done = Done(workers(judge()), [*(wrong for wrong, _ in WRONG), b"\n", request(7)])
    assert done.answers[-1] == expected(request(7))
    for answer, (_, why) in zip(done.answers, WRONG, strict=False):
        assert why in answer["error"]
    assert len(done.answers) == len(WRONG) + 1


def test_any_text_of_a_scorer_and_any_id_come_back_and_other_fields_reach_the_workers() -> None:
    asked = [request({"a": [1]}, '=\ud800 "\x00\n'), request("two", "=é", more={"x": 1})]
    done = Done(workers(judge()), asked)
    assert by_id(done.answers) == by_id([expected(one) for one in asked])
    echo = "import json,sys\nfor l in sys.stdin: r = json.loads(l); k = float(r.get('more', 7)); " \
           "print(json.dumps({'id': r['id'], 'kl': [[k] * len(r['retentions'])]}), flush=True)"  # fmt: skip
    greeting = {"protocol": "evictlab-verdict/1", "judge": "echo", "documents": [{"name": "a", "split": "train"}]}
    command = f"echo {shlex.quote(json.dumps(greeting))}; exec {shlex.join([sys.executable, '-c', echo])}"
    done = Done(workers(command), [request(1, documents=["a"], more=4711)])
    assert done.answers == [{"id": 1, "kl": [[4711.0] * 3]}]


def test_a_farm_of_farms() -> None:
    inner = shlex.join([*START, "--local", "2", judge(parallel=2)])
    asked = requests_of_a_search(30)
    done = Done(["--local", "2", inner], asked)
    assert by_id(done.answers) == by_id([expected(one) for one in asked])
    assert done.greeting["parallel"] == 2 * (6 + 1)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--local", "0", "x"],
        ["--local", "many", "x"],
        ["--worker", "x", "--restarts", "-1"],
        ["--worker", "x", "--worker-timeout", "0"],
        ["--worker", "x", "--start-timeout", "nan"],
        ["--worker", "x", "--probe", ""],
        ["--local", "1000", "x", "--local", "25", "x"],
        ["--worker", "x", "--ray-gpus", "-1"],
        ["--ray", "0", "x"],
    ],
)
def test_wrong_use_is_told(arguments: list[str]) -> None:
    done = Done(arguments, [])
    assert (done.code, done.greeting) == (2, {})
    assert done.told.splitlines()[-1]
