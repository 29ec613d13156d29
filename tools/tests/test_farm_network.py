"""A farm over a network: two workers, each in a network namespace of its own, behind a cable that is cut."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from farm_harness import by_id, comes_true, expected, is_running, judge, noted, request, requests_of_a_search, running
from farm_network import Host


@contextmanager
def two_hosts(folder: Path) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        try:
            judges = [judge(parallel=2, most=10, log=folder / f"log {number}") for number in (0, 1)]
            hosts = [Host(number, [command], stack) for number, command in enumerate(judges)]
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces can be made here: {error}")
        yield hosts


def test_a_cable_that_is_cut_costs_time_alone(tmp_path: Path) -> None:
    asked = requests_of_a_search(160)
    options = ["--worker-timeout", "3", "--restarts", "1000", "--restart-delay", "0.2"]
    with two_hosts(tmp_path) as (one, other):
        with running("--worker", one.command(), "--worker", other.command(), *options) as farm:
            farm.tells(2, "is there")
            farm.send(*asked)
            answers = [farm.read() for _ in range(20)]
            one.plug("down")
            answers += [farm.read() for _ in range(80)]
            assert "worker 1 (" in farm.tells(1, "was silent for 3 s; ")
            one.plug("up")
            assert "worker 1 (" in farm.tells(1, "is there")
            other.plug("down")
            answers += [farm.read() for _ in range(60)]
            assert by_id(answers) == by_id([expected(one) for one in asked])
            other.plug("up")
            farm.send(request("last"))
            assert farm.read() == expected(request("last"))
            assert farm.end()[0] == 0
        judges = [int(pid) for log in tmp_path.iterdir() for pid in noted(log, "start")]
        assert len(judges) > 2
        # Where the cable was cut, a judge hears of it when the network gives up.
        assert comes_true(lambda: sum(map(is_running, judges)) <= 2)
        for judge_left in filter(is_running, judges):
            os.kill(judge_left, signal.SIGKILL)
