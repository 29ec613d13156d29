"""A Ray cluster of two nodes on this machine, whose parts can be killed. Needs Ray."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from fault_processes import Process, kill_all, marked


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Cluster:
    """Each node has a place for one worker and a half, so that two workers are on two nodes."""

    def __init__(self, mark: str) -> None:
        self._mark, self._port = mark, _free_port()
        self._folder = tempfile.mkdtemp(prefix="evl-ray-", dir="/tmp")  # Ray's own paths are long, and sockets' short
        os.environ["RAY_AUTH_MODE"] = (
            "disabled"  # of this process and all that it starts: else a token that lies in the
        )
        # home folder would make the head ask for it, and nobody give it
        import ray  # noqa: PLC0415 - slow

        self._address = str(ray.util.get_node_ip_address())

    @property
    def address(self) -> str:
        return f"{self._address}:{self._port}"

    def _ray(self, *words: str) -> None:
        environment = {**os.environ, **dict([self._mark.split("=", 1)])}
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--num-cpus", "3"]
        ray += ["--disable-usage-stats", "--object-store-memory", "100000000", *words]
        subprocess.run(ray, check=True, capture_output=True, env=environment, timeout=120)

    def start_head(self) -> None:
        head = ["--head", "--node-ip-address", self._address, "--port", str(self._port), "--temp-dir", self._folder]
        self._ray(*head, "--include-dashboard", "false")

    def start_node(self) -> None:
        self._ray("--address", self.address, "--node-ip-address", self._address)

    def parts(self, name: str) -> Sequence[Process]:
        """Processes of the cluster: gcs_server is the head, and each node has a raylet."""
        return [one for one in marked(self._mark) if one.program == name]

    def renew(self) -> None:
        """All of it, at the same address."""
        kill_all(self._mark)
        self.start_head()
        self.start_node()

    def close(self) -> None:
        kill_all(self._mark)
        subprocess.run(["rm", "-rf", self._folder], check=False)
