"""Hosts behind cables that can be cut: network namespaces, which run commands for who connects, and for ssh."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

# One process a connection, as inetd would start it; and the connection as a command, as ssh is one.
SERVER = """
import socket, subprocess, sys, threading
def serve(listening, command):
    while True:
        connection, _ = listening.accept()
        subprocess.Popen(command, shell=True, stdin=connection, stdout=connection)
        connection.close()
for number, command in enumerate(sys.argv[2:]):
    listening = socket.create_server((sys.argv[1], 7000 + number))
    threading.Thread(target=serve, args=(listening, command)).start()
print("listening", flush=True)
"""
CLIENT = """
import os, socket, sys, threading
def send(connection):
    try:
        while data := os.read(0, 65536):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # why shows at what is received
try:
    connection = socket.create_connection((sys.argv[1], 7000 + int(sys.argv[2])), timeout=2)
    connection.settimeout(None)
    threading.Thread(target=send, args=(connection,), daemon=True).start()
    while data := connection.recv(65536):
        os.write(1, data)
except OSError as error:
    sys.exit(f"connection to {sys.argv[1]}: {error}")
"""
PYTHON = [sys.executable, "-S", "-E", "-c"]
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A network namespace and the cable to it. OSError or CalledProcessError where none can be made. `commands` are
    what it runs for who connects, each for as many as do."""

    def __init__(self, number: int, commands: Sequence[str], stack: ExitStack) -> None:
        self._stack, self._number = stack, number
        self.cable, self.namespace = f"evl{os.getpid() % 100000}x{number}", f"evl{os.getpid()}x{number}"
        here, self.address = (f"10.213.{os.getpid() % 128 * 2 + number}.{end}" for end in (1, 2))
        ip("netns", "add", self.namespace)
        stack.callback(ip, "netns", "del", self.namespace)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        ip("addr", "add", f"{here}/24", "dev", self.cable)
        ip("-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.namespace, "link", "set", "eth0", "up")
        ip("link", "set", self.cable, "up")
        server = self._started([*PYTHON, SERVER, self.address, *commands], stdout=subprocess.PIPE)
        assert server.stdout is not None
        stack.enter_context(server.stdout)
        assert server.stdout.readline() == b"listening\n"

    def _started(self, command: Sequence[str], *, stdout: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["ip", "netns", "exec", self.namespace, *command], stdout=stdout)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def command(self, number: int = 0) -> str:
        """What connects to the so manieth of its commands, for sh -c."""
        return "exec " + shlex.join([*PYTHON, CLIENT, self.address, str(number)])

    def plug(self, state: str) -> None:
        """up or down"""
        ip("link", "set", self.cable, state)

    def over_ssh(self, folder: Path, command: str) -> str:
        """What runs a command there, for sh -c, by an sshd of its own whose keys are in the folder."""
        assert SSHD is not None
        for name in ("host", "user"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(make, check=True, capture_output=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        keys = f"-oHostKey={folder / 'host'}", f"-oAuthorizedKeysFile={folder / 'user.pub'}"
        options = ["-oPidFile=none", "-oUsePAM=no", "-oStrictModes=no", f"-oListenAddress={self.address}:22"]
        self._started([SSHD, "-D", "-f", "/dev/null", *keys, *options], stdout=subprocess.DEVNULL)
        known = folder / "known"
        known.write_text(f"{self.address} {(folder / 'host.pub').read_text()}")
        reached = ["ssh", "-F", "/dev/null", "-i", str(folder / "user"), "-oBatchMode=yes", "-oConnectTimeout=2",
                   f"-oUserKnownHostsFile={known}", f"root@{self.address}"]  # fmt: skip
        for _ in range(100):
            if subprocess.run([*reached, "true"], check=False, capture_output=True).returncode == 0:
                return "exec " + shlex.join([*reached, command])
            time.sleep(0.1)
        raise OSError("the sshd in a network namespace cannot be reached")
