"""The farm: many judges behind one, with the answers of one, whatever becomes of them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import farm_judge
import pytest

from evictlab_tools.farm.introduction import Document, kind_name
from evictlab_tools.farm.placement import HEAT, Placement, homes, kind_of

NAMES = [name for name, _ in farm_judge.DOCUMENTS]
RETENTIONS = [0.1, 0.25, 0.5]
START = [sys.executable, "-c", "from evictlab_tools.farm.command import main; main()"]
QUICK = ["--restart-delay", "0"]
PATIENCE = 120.0  # seconds until a test gives up on what should come at once

Answer = dict[str, Any]


def judge(**options: object) -> str:
    """The command of a fake judge."""
    words = [f"{name}={value}" for name, value in options.items()]
    return "exec " + shlex.join([sys.executable, "-S", "-E", farm_judge.__file__, *words])


def workers(*commands: str) -> list[str]:
    return [word for command in commands for word in ("--worker", command)]


def request(number: Any, scorer: str = "=a", documents: Sequence[str] = NAMES[:1], **more: Any) -> dict[str, Any]:
    return {"id": number, "scorer": scorer, "documents": list(documents), "retentions": RETENTIONS, **more}


def expected(asked: dict[str, Any]) -> Answer:
    kl = [[farm_judge.figure(asked["scorer"], name, r) for r in asked["retentions"]] for name in asked["documents"]]
    return {"id": asked["id"], "kl": kl}


def by_id(answers: Sequence[Answer]) -> list[Answer]:
    return sorted(answers, key=lambda answer: json.dumps(answer["id"]))


def requests_of_a_search(count: int) -> list[dict[str, Any]]:
    """Of one document, several, and some twice."""
    chosen = random.Random(5)
    return [request(i, f"=formula {i % 17}", chosen.choices(NAMES, k=chosen.randint(1, 5))) for i in range(count)]


def bytes_of(requests: Sequence[Any]) -> bytes:
    return b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in requests)


class Done:
    """A farm that was given requests and the end of them."""

    def __init__(self, arguments: Sequence[str], requests: Sequence[Any]) -> None:
        done = subprocess.run(
            [*START, *QUICK, *arguments], input=bytes_of(requests), capture_output=True, check=False, timeout=PATIENCE
        )
        self.code, self.told = done.returncode, done.stderr.decode()
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.greeting: Answer = lines[0] if lines else {}
        self.answers: list[Answer] = lines[1:]
        assert '  File "' not in self.told


class Running:
    """A farm that is asked and answers while it runs."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [*START, *QUICK, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.greeting = self.read()

    def send(self, *requests: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(bytes_of(requests))
        self.process.stdin.flush()

    def read(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        answer: Answer = json.loads(line)
        return answer

    def tells(self, times: int, words: str) -> str:
        """The line of the so manieth time that it does."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            times -= words in line.decode()
            if times == 0:
                return line.decode()
        raise AssertionError(f"it never tells: {words}")

    def end(self, number: int | None = None) -> tuple[int, str]:
        if number is not None:
            self.process.send_signal(number)
        told = self.process.communicate(timeout=PATIENCE)[1].decode()
        assert '  File "' not in told
        return self.process.returncode, told


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    farm = Running(arguments)
    try:
        yield farm
    finally:
        farm.process.kill()
        farm.process.communicate()


def noted(log: Path, word: str) -> list[str]:
    if not log.exists():
        return []
    return [line.removeprefix(word + " ") for line in log.read_text().splitlines() if line.startswith(word + " ")]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


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


def test_a_worker_that_is_killed_at_any_moment_costs_nothing(tmp_path: Path) -> None:
    log, chance, number = tmp_path / "log", random.Random(3), 0
    with running("--local", "3", judge(log=log, parallel=2, most=2), "--restarts", "1000") as farm:
        for _ in range(30):
            asked = [request(number + i, f"={number + i}", chance.choices(NAMES, k=2)) for i in range(12)]
            number += len(asked)
            farm.send(*asked)
            at = chance.randrange(12)
            answers = [farm.read() for _ in range(at)]
            time.sleep(chance.random() / 200)
            alive = [pid for pid in map(int, noted(log, "start")) if is_running(pid)]
            if alive:
                os.kill(chance.choice(alive), signal.SIGKILL)
            answers += [farm.read() for _ in range(12 - at)]
            assert by_id(answers) == by_id([expected(one) for one in asked])
        code, told = farm.end()
    assert code == 0
    assert told.count("was killed by signal 9 (Killed)") > 10


def test_workers_that_live_for_three_answers_each_come_to_an_end_with_all_of_them() -> None:
    asked = [request(i, f"={i}", NAMES[:3]) for i in range(10)]
    done = Done(["--local", "2", judge(lives=4, parallel=2)], asked)
    assert by_id(done.answers) == by_id([expected(one) for one in asked])


@pytest.mark.parametrize("count", [1, 3])
def test_a_scorer_that_costs_three_workers_is_an_error_and_its_neighbours_are_not(count: int) -> None:
    good = [request(i, f"={i}", NAMES[i % 7 : i % 7 + 2]) for i in range(40)]
    bad = [request(f"bad {i}", scorer, NAMES[:2]) for i, scorer in enumerate(["poison", "a kill", "poison", "a kill"])]
    asked = [*good[:3], bad[0], *good[3:6], *bad[1:3], *good[6:], bad[3]]
    done = Done(["--local", str(count), judge(parallel=4)], asked)
    assert done.code == 0
    why = "3 workers were lost, one after another, while they judged this scorer"
    errors = [{"id": one["id"], "error": why} for one in bad]
    assert by_id(done.answers) == by_id([*[expected(one) for one in good], *errors])
    assert "poison cost worker after worker: it is answered with an error from now on" in done.told
    # Each is asked alone twice, and before that once, at each worker that was asked about it at the same time.
    assert 5 <= done.told.count("ended with exit status 3") + done.told.count("by signal 9") <= 2 * (count + 2)


def test_a_scorer_that_was_open_when_a_worker_died_once_is_no_error(tmp_path: Path) -> None:
    asked = [request(1, "poison once", NAMES), request(2, "=a", NAMES)]
    done = Done(workers(judge(log=tmp_path / "log")), asked)
    assert by_id(done.answers) == [expected(one) for one in asked]


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


def test_a_kind_of_which_no_worker_is_left_ends_the_farm() -> None:
    kinds = [judge(), judge(rounds="otherwise", lives=1)]
    asked = [request(i, f"={i}", NAMES) for i in range(5)]
    done = Done(["--mixed", "--restarts", "0", *workers(*kinds)], asked)
    assert done.code == 1
    assert "error: no worker of kind " in done.told and " is left, and others answer otherwise: " in done.told


def test_where_no_worker_is_left_the_farm_ends_with_reasons_and_answers_nothing_falsely() -> None:
    asked = [request(i, f"={i}") for i in range(10)]
    done = Done(["--local", "2", judge(lives=3), "--restarts", "0"], asked)
    assert done.code == 1
    assert "error: no worker is left: worker 1 (exec " in done.told
    assert done.told.count("ended with exit status 3") >= 3
    assert 0 < len(done.answers) < 10
    assert all(answer == expected(asked[answer["id"]]) for answer in done.answers)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("evictlab-no-such-judge", "ended with exit status 127 (the shell found no such command) (its last words: "),
        ("echo out of memory >&2; exit 7", "ended with exit status 7 (its last words: out of memory)"),
        (
            judge(greets="with garbage"),
            "wrote 'Loading the weights ...\\x07' where the line that introduces it belongs",
        ),
        ('echo \'{"protocol": "evictlab-proposer/1"}\'; sleep 600', 'instead of "protocol": "evictlab-judge/1"'),
        (judge(parallel=0), 'introduces itself with a "parallel" that is no whole number from 1 to 65536'),
        (judge() + " </dev/null", "ended with exit status 0"),
    ],
)
def test_wrong_commands_are_told_at_once(command: str, why: str) -> None:
    done = Done(workers(command, command), [request(1)])
    assert (done.code, done.greeting) == (1, {})
    assert why in done.told.splitlines()[-1]


def test_a_probe_that_the_judge_cannot_answer_names_the_option() -> None:
    done = Done(["--probe", "negative", "--restarts", "0", *workers(judge())], [])
    assert done.code == 1 and "answers -0.5, which no KL divergence is" in done.told
    done = Done(["--probe", "no such scorer", *workers("echo '" + json.dumps({
        "protocol": "evictlab-judge/1", "judge": "one", "documents": [{"name": "a", "split": "train"}]
    }) + "'; read x; echo '{\"id\": 0, \"error\": \"who?\"}'; sleep 600"), "--restarts", "0"], [])  # fmt: skip
    assert done.code == 1 and "cannot answer the probe 'no such scorer' (who?); --probe names another" in done.told


def test_the_first_in_order_that_can_be_started_is_what_others_are_like() -> None:
    asked = [request(i, f"={i}") for i in range(5)]
    for first in ("exit 7", judge(greets="never")):
        done = Done(["--start-timeout", "2", *workers(first, judge(rounds="otherwise"))], asked)
        assert done.code == 0
        for answer, one in zip(by_id(done.answers), asked, strict=True):
            assert answer["kl"] == [list(map(farm_judge.rounded_otherwise, expected(one)["kl"][0]))]


def test_a_worker_that_never_introduces_itself_keeps_nobody_waiting() -> None:
    asked = requests_of_a_search(10)
    done = Done(workers(judge(), "exec sleep 600"), asked)
    assert by_id(done.answers) == by_id([expected(one) for one in asked])


def test_a_worker_that_hangs_is_killed_by_name_and_what_it_had_open_is_asked_again(tmp_path: Path) -> None:
    asked = [request(1, "hang once", NAMES), request(2, "=a", NAMES)]
    done = Done(["--worker-timeout", "2", *workers(judge(log=tmp_path / "log", stubborn=1))], asked)
    assert by_id(done.answers) == [expected(one) for one in asked]
    assert "evictlab-farm: worker 1 (exec " in done.told and " was silent for 2 s; " in done.told


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("garbage", "wrote a line that is not JSON: 'Traceback (most recent call last):'"),
        ("endless", "wrote a line of more than 16777216 bytes"),
        ("unasked", "answers a question 4711 that is not open"),
        ("short", 'answers about one document at 3 retentions with another shape of "kl"'),
        ("negative", "answers -0.5, which no KL divergence is"),
    ],
)
def test_nonsense_loses_the_worker_and_never_becomes_an_answer(manner: str, why: str, tmp_path: Path) -> None:
    asked = [request(1, manner), request(2)]
    done = Done(workers(judge(log=tmp_path / "log")), asked)
    assert done.told.count(why) == 3
    errors = {"id": 1, "error": "3 workers were lost, one after another, while they judged this scorer"}
    assert by_id(done.answers) == [errors, expected(asked[1])]


def test_a_flood_on_standard_error_neither_stops_a_worker_nor_fills_the_terminal() -> None:
    asked = [request(i, f"={i}") for i in range(20)]
    done = Done(["--local", "2", judge(flood=1)], asked)
    assert by_id(done.answers) == by_id([expected(one) for one in asked])
    assert "evictlab-farm: worker 1: a warning that nobody reads" in done.told
    assert len(done.told) < 100_000


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


def processes_of(log: Path) -> list[int]:
    return [int(word) for what in ("start", "child") for word in noted(log, what)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, None])
def test_however_the_farm_ends_no_process_of_a_worker_is_left(number: int | None, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--local", "3", judge(log=log, child=1, stubborn=1)) as farm:
        farm.send(request(1, "hang"))
        assert comes_true(lambda: len(processes_of(log)) == 6 and f"asked {NAMES[0]}" in log.read_text())
        if number is None:
            assert farm.process.stdout is not None
            farm.process.stdout.close()  # nobody reads answers any more
            assert farm.process.wait(PATIENCE) == 0
        else:
            code, told = farm.end(number)
            assert code == {signal.SIGKILL: -9, signal.SIGINT: 130}.get(signal.Signals(number), 128 + number)
            if number != signal.SIGKILL:
                assert "stopped" in told
        assert comes_true(lambda: not any(map(is_running, processes_of(log))))


def test_the_end_of_the_input_is_success_once_all_is_answered_and_ends_the_workers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = Done(["--local", "2", judge(log=log, child=1, most=20)], [request(i, f"={i}") for i in range(9)])
    assert done.code == 0 and len(done.answers) == 9
    assert not any(map(is_running, processes_of(log)))


def test_a_farm_that_is_killed_while_it_starts_workers_leaves_none(tmp_path: Path) -> None:
    log, chance = tmp_path / "log", random.Random(1)
    for _ in range(6):
        process = subprocess.Popen(
            [*START, "--local", "4", judge(log=log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        time.sleep(0.05 + chance.random() / 5)
        process.kill()
        process.communicate()
    assert comes_true(lambda: not any(map(is_running, processes_of(log))))


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
    ],
)
def test_wrong_use_is_told(arguments: list[str]) -> None:
    done = Done(arguments, [])
    assert (done.code, done.greeting) == (2, {})
    assert done.told.splitlines()[-1]
