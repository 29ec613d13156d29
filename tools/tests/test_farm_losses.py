"""What becomes of a farm whose workers die, hang and rave, and of the processes of one that ends."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from farm_harness import (
    NAMES,
    PATIENCE,
    START,
    Done,
    by_id,
    comes_true,
    expected,
    is_running,
    judge,
    noted,
    request,
    requests_of_a_search,
    running,
    workers,
)


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
    assert done.told.count("is started anew") <= 2
    assert 5 <= done.told.count("ended with exit status 3") + done.told.count("by signal 9") <= 2 * (count + 2)


def test_workers_that_die_of_their_age_blame_no_scorer() -> None:
    asked = [request(i, f"={i}", NAMES[:3]) for i in range(10)]
    done = Done(["--local", "3", judge(lives=3, parallel=3, most=3)], asked)  # two answers each, and the probe
    assert by_id(done.answers) == by_id([expected(one) for one in asked])


def test_a_scorer_that_was_open_when_a_worker_died_once_is_no_error(tmp_path: Path) -> None:
    asked = [request(1, "poison once", NAMES), request(2, "=a", NAMES)]
    done = Done(workers(judge(log=tmp_path / "log")), asked)
    assert by_id(done.answers) == [expected(one) for one in asked]


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
