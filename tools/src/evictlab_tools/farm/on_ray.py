"""A worker on a node of a Ray cluster, as a command of this machine: `python -m evictlab_tools.farm.on_ray`.

It asks Ray for a place with the resources that are named, lets the worker's command run there, and passes its lines on
in both directions. Where the place is lost (its process, its node, the cluster), it ends: the farm starts it again, and
Ray finds another place.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
from typing import Any

CHUNK = 1 << 16


# Where Ray kills the place, its worker goes along.
SHELL = ["setpriv", "--pdeathsig", "KILL", "sh", "-c"]


class Place:
    """Where the worker is. Its methods are called in order within reading, and within writing."""

    def __init__(self, command: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([*SHELL, command], stdin=pipe, stdout=pipe)

    def node(self) -> str:
        return os.uname().nodename

    def write(self, data: bytes) -> None:
        """The end of the input where there is none."""
        assert self._process.stdin is not None
        try:
            if data:
                self._process.stdin.write(data)
                self._process.stdin.flush()
            else:
                self._process.stdin.close()
        except BrokenPipeError:
            pass  # why shows at its output

    def read(self) -> bytes:
        """What it wrote; nothing at its end."""
        assert self._process.stdout is not None
        return os.read(self._process.stdout.fileno(), CHUNK)

    def status(self) -> int:
        return self._process.wait()


def command_of(address: str, cpus: float, gpus: float, command: str) -> str:
    """What starts this program, for sh -c."""
    return "exec " + shlex.join([sys.executable, "-m", __name__, address, str(cpus), str(gpus), command])


def relay(address: str, cpus: float, gpus: float, command: str, lines: int) -> int:
    """Its output goes to the descriptor `lines`. The worker's exit status, as a shell has it."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():  # Ray would try for minutes
        socket.create_connection((host, int(port)), timeout=10).close()
    import ray  # noqa: PLC0415 - an optional extra, and slow

    ray.init(address=address, logging_level="WARNING")
    methods: dict[str, Any] = {
        "write": ray.method(concurrency_group="writing")(Place.write),
        "read": ray.method(concurrency_group="reading")(Place.read),
    }
    groups = {"reading": 1, "writing": 1}
    actor = ray.remote(concurrency_groups=groups, num_cpus=cpus, num_gpus=gpus, max_restarts=0)(
        type("Place", (Place,), methods)
    )
    place = actor.remote(command)
    print(f"placed on {ray.get(place.node.remote())}", file=sys.stderr, flush=True)

    def pass_on() -> None:
        while data := os.read(0, CHUNK):
            place.write.remote(data)
        place.write.remote(b"")

    threading.Thread(target=pass_on, daemon=True).start()
    while data := ray.get(place.read.remote()):
        while data:
            data = data[os.write(lines, data) :]
    status = int(ray.get(place.status.remote()))
    return status if status >= 0 else 128 - status


def main() -> None:
    address, cpus, gpus, command = sys.argv[1:]
    lines = os.dup(1)
    os.dup2(2, 1)  # what Ray prints is not for the protocol
    try:
        status = relay(address, float(cpus), float(gpus), command, lines)
    except Exception as error:  # of Ray: no such cluster, a lost node, a place that died
        words = str(error).strip().splitlines() or [""]
        sys.exit(f"Ray at {address}: {type(error).__name__}: {words[0]}")
    sys.exit(status)


if __name__ == "__main__":
    main()
