"""Where a search's judges and documents may be, and what can befall each: here, behind cables, on a Ray cluster."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib.util
import os
import random
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from farm_network import SSHD, Host
from fault_cluster import Cluster
from fault_processes import Process, marked
from search_harness import JUDGE

PATIENT = ["--worker-timeout", "3", "--start-timeout", "60", "--restart-delay", "0.2", "--restarts", "20"]


def is_evolve(one: Process) -> bool:
    return one.program == "evictlab" and one.words[1] == "evolve"


def is_fitness(one: Process) -> bool:
    return one.program == "evictlab" and one.words[1] == "fitness"


def is_judge(one: Process) -> bool:
    return one.program.startswith("python") and any(word.endswith("/farm_judge.py") for word in one.words[:5])


def is_farm(one: Process) -> bool:
    return one.program.startswith("python") and "evictlab_tools.farm.command" in " ".join(one.words[1:3])


@dataclass(frozen=True)
class Fault:
    """`strike` is done at a moment, and says whether there was anything to strike. `ends`: how evolve may end after it,
    beside 0."""

    words: str
    strike: Callable[[], bool]
    ends: tuple[int, ...] = ()


class Place:
    """`mark` is in the environment of all that a search starts; `judge` and `fitness` are marked commands for sh -c."""

    name = "processes on one machine"
    silence = 30  # seconds in which the farm counts as lost

    def __init__(self, program: Path, mark: str, chance: random.Random) -> None:
        self.mark, self.chance = mark, chance
        self.judge = shlex.join(["exec", "env", mark, *JUDGE, "parallel=2", "most=8"])
        self.fitness = shlex.join(["exec", "env", mark, str(program), "fitness", "--serve", "--threads", "1"])

    def open(self, stack: ExitStack) -> None:
        """What a search needs from others."""

    def farm(self) -> list[str]:
        return ["--local", "3", self.judge]

    def documents(self) -> list[str]:
        """Commands of fitness workers."""
        return [self.fitness, self.fitness]

    def _send(self, kind: Callable[[Process], bool], what: signal.Signals) -> bool:
        found = sorted((one for one in marked(self.mark) if kind(one)), key=lambda one: one.number)
        if found:
            self.chance.choice(found).send(what)
        return bool(found)

    def _interrupt(self) -> bool:
        """As a terminal does, of all in the foreground."""
        for one in filter(is_evolve, marked(self.mark)):
            with suppress(ProcessLookupError):
                os.killpg(one.number, signal.SIGINT)
        return True

    def _signal(self, words: str, kind: Callable[[Process], bool], what: signal.Signals, *ends: int) -> Fault:
        return Fault(words, lambda: self._send(kind, what), ends)

    def faults(self) -> list[Fault]:
        kill, stop = signal.SIGKILL, signal.SIGSTOP
        return [
            self._signal("a judge was killed", is_judge, kill),
            self._signal("a judge hung", is_judge, stop),
            self._signal("the farm was killed", is_farm, kill, 1),
            self._signal("the farm hung", is_farm, stop, 1),
            self._signal("evolve was killed", is_evolve, kill, -kill),
            Fault("evolve had Ctrl-C", self._interrupt, (130,)),
            self._signal("a fitness worker was killed", is_fitness, kill),
            self._signal("a fitness worker hung", is_fitness, stop),
        ]


class Network(Place):
    """Two judges on two hosts, one of them reached by ssh where there is an sshd; documents here and on the first."""

    name = "hosts behind cables" + (", one of them by ssh" if SSHD else "")

    def open(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._hosts = [Host(number, [self.judge, self.fitness], stack) for number in (0, 1)]
        first, second = self._hosts
        self._second = second.over_ssh(folder, self.judge) if SSHD else second.command()
        self._first = first.command()

    def farm(self) -> list[str]:
        return ["--worker", self._first, "--worker", self._second]

    def documents(self) -> list[str]:
        return [self.fitness, self._hosts[0].command(1)]

    def _cut(self, host: Host, most: float = 5) -> bool:
        host.plug("down")
        time.sleep(self.chance.uniform(most / 10, most))
        host.plug("up")
        return True

    def faults(self) -> list[Fault]:
        usual = [one for one in super().faults() if "hung" not in one.words]
        first, second = self._hosts
        return [
            *usual,
            # 1: where a fitness worker cannot be reached at the start of a run, or is lost again and again
            *[Fault("the cable to a judge and documents was cut for a while", partial(self._cut, first), (1,))] * 3,
            Fault("the cable to a judge and documents was cut for longer", partial(self._cut, first, 45), (1,)),
            *[Fault("the cable to a judge was cut for a while", partial(self._cut, second))] * 2,
        ]


class OnRay(Place):
    name = "a Ray cluster of two nodes"
    silence = 200

    def open(self, stack: ExitStack) -> None:
        self._cluster = Cluster(self.mark.replace("=", "_RAY=", 1))
        stack.callback(self._cluster.close)
        self._cluster.renew()

    def farm(self) -> list[str]:
        return ["--ray", "2", self.judge, "--ray-address", self._cluster.address, "--ray-cpus", "2"]

    def _raylet(self) -> bool:
        self.chance.choice(self._cluster.parts("raylet")).send(signal.SIGKILL)
        time.sleep(self.chance.uniform(0, 3))
        with suppress(subprocess.CalledProcessError):
            self._cluster.start_node()
        return True

    def _head(self) -> bool:
        self._cluster.parts("gcs_server")[0].send(signal.SIGKILL)
        time.sleep(self.chance.uniform(0, 3))
        self._cluster.renew()
        return True

    def faults(self) -> list[Fault]:
        wanted = ("a judge was killed", "the farm was killed", "evolve was killed")
        return [
            *(one for one in super().faults() if one.words in wanted),
            *[Fault("a raylet was killed, and another node came", self._raylet, (1,))] * 2,
            *[Fault("the Ray head was killed, and the cluster came back", self._head, (1,))] * 2,
        ]


def has_ray() -> bool:
    return importlib.util.find_spec("ray") is not None
