"""Workers that Ray places, where Ray is installed: pip install 'evictlab-tools[ray]'."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from farm_harness import Done, by_id, comes_true, expected, is_running, judge, noted, requests_of_a_search, running


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of one of this test's own."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def test_a_farm_on_ray_gives_the_same_bits_when_its_workers_are_killed(cluster: str, tmp_path: Path) -> None:
    log, asked = tmp_path / "log", requests_of_a_search(120)
    with running("--ray-address", cluster, "--ray", "2", judge(parallel=2, most=10, log=log)) as farm:
        farm.send(*asked)
        answers = [farm.read() for _ in range(40)]
        os.kill(int(noted(log, "start")[0]), signal.SIGKILL)
        answers += [farm.read() for _ in range(80)]
        assert by_id(answers) == by_id([expected(one) for one in asked])
        code, told = farm.end()
        assert code == 0
        assert "worker 1 (by Ray: exec " in told and "ended with exit status 137" in told
    assert comes_true(lambda: not any(map(is_running, map(int, noted(log, "start")))))


def test_a_farm_that_is_killed_leaves_nothing_on_the_cluster(cluster: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--ray-address", cluster, "--ray", "2", judge(log=log, stubborn=1)) as farm:
        farm.end(signal.SIGKILL)
    assert comes_true(lambda: not any(map(is_running, map(int, noted(log, "start")))))


def test_a_cluster_that_is_not_there_is_told() -> None:
    done = Done(["--ray-address", "127.0.0.1:1", "--ray", "1", judge()], [])
    if find_spec("ray") is None:
        assert done.code == 2 and "pip install 'evictlab-tools[ray]'" in done.told
    else:
        assert done.code == 1 and "Ray at 127.0.0.1:1: " in done.told.splitlines()[-1]
