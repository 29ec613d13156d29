"""A farm over a network: two workers, each in a network namespace of its own, behind a cable that is cut."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from farm_harness import by_id, comes_true, expected, is_running, judge, noted, request, requests_of_a_search, running

# One judge a connection, as inetd would start it; and the connection as a command, as ssh is one.
SERVER = """
import socket, subprocess, sys
listening = socket.create_server((sys.argv[1], 7000))
print("listening", flush=True)
while True:
    connection, _ = listening.accept()
    subprocess.Popen(sys.argv[2], shell=True, stdin=connection, stdout=connection)
    connection.close()
"""
CLIENT = """
import os, socket, sys, threading
connection = socket.create_connection((sys.argv[1], 7000), timeout=2)
connection.settimeout(None)
def send():
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := connection.recv(65536):
    os.write(1, data)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A network namespace with one judge after another, and the cable to it."""

    def __init__(self, number: int, log: Path, stack: ExitStack) -> None:
        self.cable, namespace = f"evl{os.getpid() % 100000}x{number}", f"evl{os.getpid()}x{number}"
        here, there = (f"10.213.{os.getpid() % 128 * 2 + number}.{end}" for end in (1, 2))
        ip("netns", "add", namespace)
        stack.callback(ip, "netns", "del", namespace)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("addr", "add", f"{here}/24", "dev", self.cable)
        ip("-n", namespace, "addr", "add", f"{there}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        ip("link", "set", self.cable, "up")
        python = [sys.executable, "-S", "-E", "-c"]
        command = ["ip", "netns", "exec", namespace, *python, SERVER, there, judge(parallel=2, most=10, log=log)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        stack.callback(server.wait)
        stack.callback(server.kill)
        assert server.stdout is not None
        stack.enter_context(server.stdout)
        assert server.stdout.readline() == b"listening\n"
        self.worker = "exec " + shlex.join([*python, CLIENT, there])

    def plug(self, state: str) -> None:
        ip("link", "set", self.cable, state)


@contextmanager
def two_hosts(folder: Path) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        try:
            hosts = [Host(number, folder / f"log {number}", stack) for number in (0, 1)]
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces can be made here: {error}")
        yield hosts


def test_a_cable_that_is_cut_costs_time_alone(tmp_path: Path) -> None:
    asked = requests_of_a_search(160)
    options = ["--worker-timeout", "3", "--restarts", "1000", "--restart-delay", "0.2"]
    with two_hosts(tmp_path) as (one, other):
        with running("--worker", one.worker, "--worker", other.worker, *options) as farm:
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
